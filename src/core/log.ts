import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

/** Every `event` that a log line can carry; docs/log-events.md and the JSON Schemas are held to it. */
export const LOG_EVENTS = [
  'daemon.ready',
  'daemon.stopped',
  'daemon.warning',
  'store.loaded',
  'store.rejected',
  'store.problem',
  'tls.connected',
  'tls.failed',
  'exchange',
  'certificate.expiring',
  'certificate.expired',
  'tunnel',
  'admin',
  'proxy.refused',
] as const;
export type LogEvent = (typeof LOG_EVENTS)[number];

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** The one way to log: an event with its data. `data` is plain; a Secret in it prints as `[secret]`. */
export interface Log {
  (level: 'debug' | 'info' | 'warn' | 'error', event: LogEvent, data: object): void;
  /** Whether a line of that level would be written, for data that costs something to build. */
  enabled(level: 'debug' | 'info' | 'warn' | 'error'): boolean;
  /** Writes out what is buffered; before the process ends. */
  flush(): void;
}

/** @param destination a file descriptor, 1 by default; what a log line waits on never is the request that caused it */
export function createLog(options: { level: LogLevel; format: 'json' | 'pretty'; destination?: number }): Log {
  const fd = options.destination ?? 1;
  const stream =
    options.format === 'pretty'
      ? pretty({ destination: fd, sync: true, ignore: 'pid,hostname,event', messageKey: 'event', singleLine: true })
      : pino.destination({ dest: fd, sync: false, minLength: 0 });
  const logger: Logger = pino(
    {
      level: options.level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const log = (level: 'debug' | 'info' | 'warn' | 'error', event: LogEvent, data: object): void => {
    // Records carry their event already; a second key of that name would make the line ambiguous JSON.
    logger[level]('event' in data ? data : { event, ...data });
  };
  return Object.assign(log, {
    enabled: (level: 'debug' | 'info' | 'warn' | 'error') => logger.isLevelEnabled(level),
    flush: () => {
      if ('flushSync' in stream) stream.flushSync();
    },
  });
}
