/** A line of the log for people: time, event, what it is about, how it went, and what to do next. */
import { escapeControls } from '../../core/line-writer.ts';
import { describeAt } from '../../core/yaml/read.ts';
import type { LogFields } from '../../admin/schemas/log-events.ts';
import type { LogEvent, LogLine } from '../../core/log.ts';
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
/** `certificate.expiring`; only `certificate.renewal_failed` is longer, and shifts its line. */
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

const failure = ({ code, message, hint }: { code: string; message: string; hint?: string }) => ({
  outcome: `${paint('red', code)}: ${message}`,
  next: hint,
});

const expiry = ({ name, subject, days_left, not_after }: LogFields<'certificate.expiring'>): Words => ({
  about: name,
  outcome: `${days_left < 0 ? 'expired' : 'expires'} ${inDays(days_left)}, at ${not_after}: ${subject}`,
  next:
    name === 'local CA'
      ? 'mtlsd ca rotate, or renew the files of ca.cert'
      : `get a new certificate, and: mtlsd cert set ${name} --cert FILE --key FILE`,
});

const connection = (line: LogFields<'tls.connected'>): Words => {
  const { authority, tls, verification, client_certificate: own, error } = line;
  if (error) return { about: authority, ...failure(error) };
  const sent = own.sent ? `${own.name} sent` : `no certificate sent (${own.outcome.replaceAll('_', ' ')})`;
  return { about: authority, outcome: [tls?.protocol ?? 'no TLS', sent, verificationText(verification)].join(', ') };
};

/** One event, one sentence: each takes the line as docs/log-events.md has it. */
const WORDS: { readonly [E in LogEvent]: (line: LogFields<E>) => Words } = {
  'daemon.ready': (line) => ({
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
  'ca.changed': ({ why, subject, fingerprint256, takes_over }) => ({
    about: 'local CA',
    outcome: `${why}: ${subject} signs, SHA-256 ${fingerprint256}${takes_over === undefined ? '' : `; a new one takes over at ${takes_over}`}`,
    ...(takes_over !== undefined && { next: 'mtlsd doctor says which clients do not trust the new one yet' }),
  }),
  'daemon.stopped': ({ reason }) => ({ about: '', outcome: reason }),
  'daemon.warning': ({ message }) => ({ about: '', outcome: message }),
  'daemon.fault': ({ scope, id, message, stack }) => ({
    about: id === null ? scope : `${scope} ${id}`,
    outcome: message,
    more: stack === null ? [] : [paint('dim', stack)],
    next: 'this is a fault of mtlsd; please report it with these lines',
  }),
  'store.loaded': (line) => ({
    about: '',
    outcome: [
      `${count(line.entries, 'entry', 'entries')}, ${line.usable} usable`,
      ...(['added', 'changed', 'removed'] as const).flatMap((what) =>
        line[what].length === 0 ? [] : [`${what} ${listed(line[what])}`],
      ),
    ].join('; '),
  }),
  'store.rejected': ({ problems }) => ({
    about: '',
    outcome: `${count(problems.length, 'mistake')}; the last good store stays in force`,
    more: problems.map((problem) => describeAt(problem.file, problem)),
  }),
  'store.problem': (line) => ({ about: line.name, ...failure(line) }),
  'tls.connected': connection,
  'tls.failed': connection,
  exchange: (line) => {
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
  'certificate.renewed': ({ name, not_after, next }) => ({
    about: name,
    outcome: `valid until ${localTime(not_after)}, renewed next ${localTime(next)}`,
  }),
  'certificate.renewal_failed': (line) => {
    const { outcome, next } = failure(line);
    return { about: line.name, outcome: `${outcome}; tried again ${localTime(line.next)}`, next };
  },
  'crl.updated': ({ url, crls }) => ({
    about: url,
    outcome: crls
      .map(
        ({ next_update, entries }) => `${count(entries, 'revoked certificate')}, valid until ${localTime(next_update)}`,
      )
      .join('; '),
  }),
  'proxy.changed': ({ proxy, subject, fingerprint256 }) => ({
    about: proxy,
    outcome: subject === null ? 'its files were read again' : `is shown ${subject}, SHA-256 ${fingerprint256}`,
  }),
  'crl.failed': ({ url, message, next }) => ({
    about: url,
    outcome: `${message}; tried again ${localTime(next)}`,
    next: 'see whether the URL answers: curl -v URL',
  }),
  tunnel: ({ authority, sent_bytes, received_bytes, ms, error }) => ({
    about: authority,
    ...(error
      ? failure(error)
      : { outcome: `${sent_bytes} bytes sent, ${received_bytes} received, ${Math.round(ms.total)} ms` }),
  }),
  admin: ({ name, host, authority, path, action, code, who, client }) => ({
    about: name ?? host ?? authority ?? path ?? '',
    outcome: `${action}${code === undefined ? '' : ` ${code}`}, by ${who} (${client})`,
  }),
  'proxy.refused': (line) => ({ about: line.target || line.client, ...failure(line) }),
};

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
