import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { isoTime } from './time.ts';

/** Every `event` that a log line can carry; docs/log-events.md and the JSON Schemas are held to it. */
export const LOG_EVENTS = [
  'daemon.ready',
  'daemon.stopped',
  'daemon.warning',
  'daemon.fault',
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
  /** The same for data that is JSON already, its `event` included; it costs half. */
  json(level: 'debug' | 'info' | 'warn' | 'error', object: string): void;
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
      : gathered(pino.destination({ dest: fd, sync: false, contentMode: 'buffer' }));
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
    json: (level: 'debug' | 'info' | 'warn' | 'error', object: string) => {
      if (logger.isLevelEnabled(level))
        stream.write(`{"level":"${level}","time":"${isoTime(Date.now())}",${object.slice(1)}\n`);
    },
    enabled: (level: 'debug' | 'info' | 'warn' | 'error') => logger.isLevelEnabled(level),
    flush: () => {
      if ('flushSync' in stream) stream.flushSync();
    },
  });
}

/** All lines of one turn of the event loop are written by one system call, which costs more than the lines themselves. */
function gathered(destination: ReturnType<typeof pino.destination>): { write(line: string): void; flushSync(): void } {
  let lines = '';
  const pass = (): void => {
    const text = lines;
    lines = '';
    // As bytes: of a string sonic-boom (4.2) measures the length at every step.
    if (text !== '') destination.write(Buffer.from(text) as never);
  };
  const flushSync = (): void => {
    pass();
    destination.flushSync();
  };
  process.once('exit', flushSync);
  return {
    write(line) {
      if (lines === '') setImmediate(pass);
      lines += line;
    },
    flushSync,
  };
}
