/** Tells systemd that the daemon takes connections (`Type=notify`). */
import { execFile } from 'node:child_process';

/** Node has no UNIX datagram sockets, which sd_notify(3) takes; systemd's own program has. It needs `NotifyAccess=all`. */
export function reportReady({ NOTIFY_SOCKET, ...env }: NodeJS.ProcessEnv, onFailed: (message: string) => void): void {
  if (!NOTIFY_SOCKET) return;
  execFile('systemd-notify', ['--ready'], { env: { ...env, NOTIFY_SOCKET }, timeout: 10_000 }, (error) => {
    if (error) onFailed(`systemd does not know that the daemon is ready: systemd-notify failed: ${error.message}`);
  });
}
