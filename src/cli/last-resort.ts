/** For a fault outside every boundary: the daemon logs it, drains and exits with 70, so that a supervisor restarts it. */
import { faultFields } from '../core/boundary.ts';
import type { Log } from '../core/log.ts';
import type { Daemon } from '../daemon.ts';

/** EX_SOFTWARE of sysexits.h: an internal fault, which systemd and Kubernetes distinguish from a wrong configuration (2). */
const EXIT_CODE = 70;
/** After a fault no state is reliable: long enough for most exchanges, short enough for a restart to help. */
const DRAIN_MS = 5_000;

/**
 * Takes over uncaught exceptions, and with them unhandled rejections, which Node (24) raises as such. A second one ends the
 * process at once. run.json and sockets are removed either way, since the daemon does that when the process exits.
 * @returns to be called with the daemon when it runs; before that, there is nothing to drain
 */
export function installLastResort(log: Log): (daemon: Daemon) => void {
  let running: Daemon | null = null;
  let ending = false;
  const exit = (): never => process.exit(EXIT_CODE);
  const drain = async (daemon: Daemon): Promise<void> => {
    try {
      await daemon.stop('fault');
    } finally {
      exit();
    }
  };
  process.on('uncaughtException', (error: unknown) => {
    const fault = { scope: 'daemon', id: null, error } as const;
    if (running) running.reportFault(fault);
    else log('error', 'daemon.fault', faultFields(fault));
    if (ending || !running) return exit();
    ending = true;
    setTimeout(exit, DRAIN_MS);
    void drain(running);
  });
  return (daemon) => {
    running = daemon;
  };
}
