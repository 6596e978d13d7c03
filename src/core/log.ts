import { write } from 'node:fs';
import { pino, type Logger } from 'pino';
import { systemSentence } from './files/system-fault.ts';
import { lineWriter } from './line-writer.ts';
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
  'certificate.renewed',
  'certificate.renewal_failed',
  'ca.changed',
  'crl.updated',
  'crl.failed',
  'proxy.changed',
  'tunnel',
  'admin',
  'proxy.refused',
] as const;
export type LogEvent = (typeof LOG_EVENTS)[number];

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

type Level = Exclude<LogLevel, 'silent'>;

/** A line as data: `level`, `time` and `event` beside what the event holds. */
export interface LogLine {
  readonly level: Level;
  readonly time: string;
  readonly event: LogEvent;
  readonly [field: string]: unknown;
}

/** The one way to log: an event with its data. `data` is plain; a Secret in it prints as `[secret]`. Never throws. */
export interface Log {
  (level: Level, event: LogEvent, data: object): void;
  /** The same for data that is JSON already, its `event` included; it costs half. */
  json(level: Level, object: string): void;
  /** Resolves when what is buffered is written, or can't be; before the process ends. */
  flush(): Promise<void>;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`, or a function that writes a line for people; its text ends with a line feed. */
  readonly format: 'json' | ((line: LogLine) => string);
  /** A file descriptor, 1 by default. */
  readonly destination?: number;
}

export function createLog({ level, format, destination = 1 }: LogOptions): Log {
  const shaped = (json: string): string => (format === 'json' ? json : format(JSON.parse(json) as LogLine));
  const lineOf = (level: Level, object: string): string =>
    shaped(`{"level":"${level}","time":"${isoTime(Date.now())}",${object.slice(1)}\n`);
  const writer = lineWriter({
    fd: destination,
    lostLine(dropped, why) {
      const message = `${dropped} log lines were dropped: ${why}`;
      return lineOf('warn', JSON.stringify({ event: 'daemon.warning', message, dropped }));
    },
    onFailure(error) {
      const said = `mtlsd: ${systemSentence(error, 'the log', 'written')}\nnext: make its output writable; until then the daemon drops log lines and tries again every second\n`;
      // Standard error may be gone or full too: nothing waits for it.
      write(2, said, () => undefined);
    },
  });
  const logger: Logger = pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (json: string) => writer.write(shaped(json)) },
  );
  const log = (level: Level, event: LogEvent, data: object): void => {
    // Records carry their event already; a second key of that name would make the line ambiguous JSON.
    logger[level]('event' in data ? data : { event, ...data });
  };
  return Object.assign(log, {
    json(level: Level, object: string) {
      if (logger.isLevelEnabled(level)) writer.write(lineOf(level, object));
    },
    flush: () => writer.flush(),
  });
}
