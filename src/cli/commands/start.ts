import { flushCompileCache } from 'node:module';
import { isatty } from 'node:tty';
import { Command } from 'commander';
import { createLog } from '../../core/log.ts';
import { startDaemon } from '../../daemon.ts';
import { loadSettings } from '../../settings/load.ts';
import { tuneCollector } from '../collector.ts';
import { installLastResort } from '../last-resort.ts';
import { reportReady } from '../service-manager.ts';
import { logLine } from '../words/log-line.ts';

export function startCommand(): Command {
  return new Command('start')
    .description(
      'Runs the daemon in the foreground. SIGTERM lets requests under way finish; a second one ends it. SIGHUP reloads the certificates.',
    )
    .option(
      '--listen <addr:port...>',
      'where clients reach the proxy; port 0 is any free one (default: 127.0.0.1:8740 and [::1]:8740)',
    )
    .option('--admin <addr:port>', 'where the admin API is, or unix:PATH (default: 127.0.0.1:8741)')
    .option('--port <auto>', 'auto: where a port is taken, use any free one; mtlsd run and the other commands find it')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'json or pretty (default: pretty on a terminal, else json)')
    .addHelpText('after', '\nExamples:\n  mtlsd start\n  mtlsd start --listen 127.0.0.1:0 --log-format pretty')
    .action(async (_options, command: Command) => {
      const settings = await loadSettings(command.optsWithGlobals(), process.env);
      const { level, format } = settings.log;
      const pretty = (format ?? (isatty(1) ? 'pretty' : 'json')) === 'pretty';
      const log = createLog({ level, format: pretty ? logLine : 'json' });
      const isRunning = installLastResort(log);
      const daemon = await startDaemon(settings, log);
      isRunning(daemon);
      reportReady(process.env, (message) => log('warn', 'daemon.warning', { message }));
      if (process.stderr.isTTY && daemon.admin.startsWith('http'))
        process.stderr.write(`page: ${daemon.admin}/ (mtlsd ui opens it, signed in)\n`);
      // Node keeps compiled code for the next start when a process exits; a daemon is often killed instead.
      setTimeout(() => {
        flushCompileCache();
        tuneCollector();
      }, 1_000).unref();
      const onTerminal = isatty(1);
      process.on('SIGHUP', () => {
        // SIGHUP from a closed terminal ends the daemon; any other asks for a reload.
        if (onTerminal && !isatty(1)) process.kill(process.pid, 'SIGTERM');
        else daemon.reload();
      });
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        let stopping = false;
        process.on(signal, () => {
          // A second signal ends it at once.
          if (stopping) process.exit(1);
          stopping = true;
          void daemon.stop(signal).then(() => process.exit(0));
        });
      }
    });
}
