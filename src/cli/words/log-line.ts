/** A line of the log for people: time, event, what it is about, how it went, and what to do next. */
import { escapeControls } from '../../core/line-writer.ts';
import type { LogEvent, LogLine } from '../../core/log.ts';
import type { ConnectionRecord, ExchangeRecord, RecordError } from '../../inspect/records/types.ts';
import { clock, count, inDays, listed, localTime, paint } from '../output.ts';
import { verdictOf, verificationText } from './record.ts';

interface Words {
  /** Authority, name of an entry or of a file; empty where it is about the daemon. */
  readonly about: string;
  readonly outcome: string;
  readonly next?: string | undefined;
  /** More lines, as they are. */
  readonly more?: readonly string[];
}

const COLOURS = { debug: 'dim', info: 'cyan', warn: 'yellow', error: 'red' } as const;
/** `certificate.expiring`; the one that is longer, `certificate.renewal_failed`, moves its own line alone. */
const EVENT_WIDTH = 20;
const INDENT = ' '.repeat(10);

export function logLine(raw: LogLine): string {
  const line = printableDeep(raw) as LogLine;
  const { about, outcome, next, more = [] } = (WORDS[line.event] as (line: unknown) => Words)(line);
  const head = [
    paint('dim', clock(line.time)),
    paint(COLOURS[line.level], line.event.padEnd(EVENT_WIDTH)),
    ...(about === '' ? [] : [about]),
    outcome,
  ].join('  ');
  const rest = [...more, ...(next === undefined ? [] : [`next: ${next}`])];
  return `${[head, ...rest.map((text) => INDENT + text)].join('\n')}\n`;
}

const failure = ({ code, message, hint }: RecordError | { code: string; message: string; hint?: string }) => ({
  outcome: `${paint('red', code)}: ${message}`,
  next: hint,
});

interface StoreProblemLine {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly expected: string;
}

interface Expiry {
  readonly name: string;
  readonly subject: string;
  readonly days_left: number;
  readonly not_after: string;
}

const expiry = ({ name, subject, days_left, not_after }: Expiry): Words => ({
  about: name,
  outcome: `${days_left < 0 ? 'expired' : 'expires'} ${inDays(days_left)}, at ${not_after}: ${subject}`,
  next: `get a new certificate, and: mtlsd cert set ${name} --cert FILE --key FILE`,
});

const connection = (line: ConnectionRecord): Words => {
  const { authority, tls, verification, client_certificate: own, error } = line;
  if (error) return { about: authority, ...failure(error) };
  const sent = own.sent ? `${own.name} sent` : `no certificate sent (${own.outcome.replaceAll('_', ' ')})`;
  return { about: authority, outcome: [tls?.protocol ?? 'no TLS', sent, verificationText(verification)].join(', ') };
};

/** One event, one sentence: each takes the line as docs/log-events.md has it. */
const WORDS = {
  'daemon.ready': (line: {
    proxy: readonly string[];
    admin: string;
    socks?: string;
    listeners?: readonly string[];
    upstream_proxy?: readonly string[];
    home: string;
    certificates: number;
  }) => ({
    about: '',
    outcome: [
      `proxy ${listed(line.proxy)}`,
      ...(line.socks === undefined ? [] : [`SOCKS ${line.socks}`]),
      ...(line.listeners === undefined ? [] : [`local ports ${listed(line.listeners)}`]),
      ...(line.upstream_proxy === undefined ? [] : [`upstream proxy ${listed(line.upstream_proxy)}`]),
      `admin ${line.admin}`,
      count(line.certificates, 'certificate'),
      `home ${line.home}`,
    ].join(', '),
  }),
  'daemon.stopped': ({ reason }: { reason: string }) => ({ about: '', outcome: reason }),
  'daemon.warning': ({ message }: { message: string }) => ({ about: '', outcome: message }),
  'daemon.fault': (line: { scope: string; id: string | null; message: string; stack: string | null }) => ({
    about: [line.scope, ...(line.id === null ? [] : [line.id])].join(' '),
    outcome: line.message,
    more: line.stack === null ? [] : [paint('dim', line.stack)],
    next: 'this is a fault of mtlsd; please report it with these lines',
  }),
  'store.loaded': (line: Record<'entries' | 'usable', number> & Record<'added' | 'changed' | 'removed', string[]>) => ({
    about: '',
    outcome: [
      `${count(line.entries, 'entry', 'entries')}, ${line.usable} usable`,
      ...(['added', 'changed', 'removed'] as const).flatMap((what) =>
        line[what].length === 0 ? [] : [`${what} ${listed(line[what])}`],
      ),
    ].join('; '),
  }),
  'store.rejected': ({ problems }: { problems: readonly StoreProblemLine[] }) => ({
    about: '',
    outcome: `${count(problems.length, 'mistake')}; the last good store stays in force`,
    more: problems.map(
      ({ file, line, column, message, expected }) => `${file}:${line}:${column}: ${message}; expected ${expected}`,
    ),
  }),
  'store.problem': (line: { name: string; code: string; message: string; hint: string }) => ({
    about: line.name,
    ...failure(line),
  }),
  'tls.connected': connection,
  'tls.failed': connection,
  exchange: (line: ExchangeRecord) => {
    const { method, path, status, ms, certificate, authority, error } = line;
    const request = `${method} ${path}`;
    if (error) {
      const { outcome, next } = failure(error);
      return { about: authority, outcome: `${request}  ${outcome}`, next };
    }
    const result = `${status}, ${Math.round(ms.total)} ms, ${certificate ?? 'no certificate'}`;
    return { about: authority, outcome: `${request}  ${result}, ${verdictOf(line)}` };
  },
  'certificate.expiring': expiry,
  'certificate.expired': expiry,
  'certificate.renewed': ({ name, not_after, next }: { name: string; not_after: string; next: string }) => ({
    about: name,
    outcome: `valid until ${localTime(not_after)}, renewed next ${localTime(next)}`,
  }),
  'certificate.renewal_failed': (line: Record<'name' | 'code' | 'message' | 'hint' | 'next', string>) => {
    const { outcome, next } = failure(line);
    return { about: line.name, outcome: `${outcome}; tried again ${localTime(line.next)}`, next };
  },
  'crl.updated': ({ url, crls }: { url: string; crls: readonly { next_update: string; entries: number }[] }) => ({
    about: url,
    outcome: crls
      .map(
        ({ next_update, entries }) => `${count(entries, 'revoked certificate')}, valid until ${localTime(next_update)}`,
      )
      .join('; '),
  }),
  'crl.failed': ({ url, message, next }: Record<'url' | 'message' | 'next', string>) => ({
    about: url,
    outcome: `${message}; tried again ${localTime(next)}`,
    next: 'see whether the URL answers: curl -v URL',
  }),
  tunnel: (line: {
    authority: string;
    sent_bytes: number;
    received_bytes: number;
    ms: { total: number };
    error: { code: string; message: string } | null;
  }) => ({
    about: line.authority,
    ...(line.error
      ? failure(line.error)
      : {
          outcome: `${line.sent_bytes} bytes sent, ${line.received_bytes} received, ${Math.round(line.ms.total)} ms`,
        }),
  }),
  admin: (line: Record<'action' | 'who' | 'client', string> & Record<string, unknown>) => ({
    about: [line.name ?? line.host ?? line.authority ?? line.path ?? ''].map(String).join(''),
    outcome: `${line.action}${line.code === undefined ? '' : ` ${String(line.code)}`}, by ${line.who} (${line.client})`,
  }),
  'proxy.refused': (line: { client: string; target: string; code: string; message: string; hint: string }) => ({
    about: line.target || line.client,
    ...failure(line),
  }),
} satisfies Readonly<Record<LogEvent, (line: never) => Words>>;

/** No text of a peer moves the cursor or begins a line: controls are escaped, our own colours come after. */
function printableDeep(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    const lines = key === 'stack' ? value.split('\n') : [value];
    return lines
      .map((text) => escapeControls(JSON.stringify(text).slice(1, -1)).replaceAll(/\\(["\\])/g, '$1'))
      .join(`\n${INDENT}`);
  }
  if (Array.isArray(value)) return value.map((item) => printableDeep(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, printableDeep(each, name)]));
}
