/** Sockets that a service manager has opened and hands over, by sd_listen_fds(3). */

/** The first one; 0 to 2 are the standard streams. */
const FIRST_FD = 3;

/**
 * Their descriptors; none where the variables are another process's.
 * @param pid of this process
 */
export function inheritedSockets({ LISTEN_PID, LISTEN_FDS }: NodeJS.ProcessEnv, pid: number): number[] {
  if (LISTEN_PID !== String(pid)) return [];
  const count = /^\d{1,3}$/.test(LISTEN_FDS ?? '') ? Number(LISTEN_FDS) : 0;
  return Array.from({ length: count }, (_, i) => FIRST_FD + i);
}
