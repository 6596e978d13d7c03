/** An error as the answer in the origin's place: status, Proxy-Status (RFC 9209) and a body in the form asked for. */
import { STATUS_CODES } from 'node:http';
import type { MtlsdError, Problem } from '../core/errors.ts';
import { responseHead } from '../http1/write.ts';

export interface ProblemContext {
  /** The next step, where it is known better than the error knows it. */
  readonly hint?: string;
  readonly exchange: string;
  readonly authority: string | null;
  readonly accept: string | undefined;
  /** Sentence on the client certificate: which was sent, or why none. */
  readonly certificate: string | null;
}

export interface ProblemAnswer {
  readonly status: number;
  readonly reason: string;
  /** Flat list. */
  readonly fields: string[];
  readonly body: Buffer;
}

export function answerProblem(error: MtlsdError, context: ProblemContext): ProblemAnswer {
  // 499 is the log's status for a client that left; a client that still reads gets a 400.
  const status = error.status === 499 ? 400 : error.status;
  const form = preferredForm(context.accept);
  const body = Buffer.from(
    form === 'html' ? html(error, context) : form === 'json' ? json(error, status, context) : plain(error, context),
  );
  const type = { html: 'text/html', json: 'application/problem+json', plain: 'text/plain' }[form];
  return {
    status,
    reason: STATUS_CODES[status] ?? 'Error',
    fields: [
      'Content-Type',
      form === 'json' ? type : `${type}; charset=utf-8`,
      'Content-Length',
      String(body.byteLength),
      'Cache-Control',
      'no-store',
      'X-Content-Type-Options',
      'nosniff',
      'Proxy-Status',
      proxyStatus(error),
      ...(status === 407 ? ['Proxy-Authenticate', 'Basic realm="mtlsd", charset="UTF-8"'] : []),
      ...(form === 'html' ? ['Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'"] : []),
    ],
    body,
  };
}

/** The answer as bytes of HTTP/1.1, for connections on which no response object exists; the connection ends with it. */
export function answerBytes({ status, reason, fields, body }: ProblemAnswer, headOnly = false): Buffer {
  const head = responseHead(status, reason, [...fields, 'Connection', 'close']);
  return Buffer.concat([Buffer.from(head, 'latin1'), ...(headOnly ? [] : [body])]);
}

/** `mtlsd; error=tls_certificate_error; details="CODE: sentence"`; RFC 9209 §2, RFC 8941 §3.3.3 for the string. */
function proxyStatus(error: MtlsdError): string {
  const first = error.problems.find((problem) => !problem.allowed)?.code;
  const details = `${error.code}${first ? ` ${first}` : ''}: ${error.message}`
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, '\\$&')
    .slice(0, 1000)
    .replace(/(^|[^\\])\\$/, '$1'); // not half an escape
  // The client's own alerts are outside RFC 9209, which is about the next hop.
  const alert = error.side === 'origin' ? error.alert : null;
  const parameters = alert ? `; alert-id=${alert.number}; alert-message=${alert.name}` : '';
  return `mtlsd; error=${errorType(error, alert)}${parameters}; details="${details}"`;
}

/** An alert has a type of its own (RFC 9209 §2.3.16), which is not for a server that closes without one. */
function errorType({ proxyStatus }: MtlsdError, alert: MtlsdError['alert']): string {
  if (alert) return 'tls_alert_received';
  return proxyStatus === 'tls_alert_received' ? 'connection_terminated' : proxyStatus;
}

/** The best of the three by quality (RFC 9110 §12.5.1); `text/plain` unless one of the others is asked for by name. */
export function preferredForm(accept: string | undefined): 'plain' | 'json' | 'html' {
  let best: 'plain' | 'json' | 'html' = 'plain';
  let quality = 0;
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const form =
      type === 'text/html'
        ? 'html'
        : type === 'application/problem+json' || type === 'application/json'
          ? 'json'
          : type === 'text/plain'
            ? 'plain'
            : null;
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (form && weight > quality) [best, quality] = [form, weight];
  }
  return best;
}

function plain(error: MtlsdError, context: ProblemContext): string {
  const lines = [`mtlsd: ${error.message}`, '', `code:        ${error.code}`];
  for (const problem of error.problems) lines.push(`problem:     ${problemLine(problem)}`);
  if (error.alert) lines.push(`alert:       ${error.alert.number} ${error.alert.name}`);
  if (context.certificate) lines.push(`certificate: ${context.certificate}`);
  lines.push(`exchange:    ${context.exchange}`, `next:        ${context.hint ?? error.hint}`, '');
  return lines.join('\n');
}

function problemLine({ code, depth, subject, message, allowed }: Problem): string {
  const place = depth === null ? '' : ` at depth ${depth}${subject ? ` (${subject})` : ''}`;
  return `${code}${place}: ${message}${allowed ? ' [allowed by the rule]' : ''}`;
}

/** RFC 9457 §3; the type is a name, not a place to fetch. */
function json(error: MtlsdError, status: number, context: ProblemContext): string {
  return `${JSON.stringify({
    type: `urn:mtlsd:error:${error.code}`,
    title: STATUS_CODES[status],
    status,
    detail: error.message,
    code: error.code,
    hint: context.hint ?? error.hint,
    problems: error.problems,
    alert: error.alert,
    certificate: context.certificate,
    authority: context.authority,
    exchange: context.exchange,
    connection: error.connection,
  })}\n`;
}

function html(error: MtlsdError, context: ProblemContext): string {
  const rows = [
    ['Code', error.code],
    ...error.problems.map((problem) => ['Problem', problemLine(problem)]),
    ...(error.alert ? [['Alert', `${error.alert.number} ${error.alert.name}`]] : []),
    ...(context.certificate ? [['Certificate', context.certificate]] : []),
    ['Exchange', context.exchange],
    ['Next', context.hint ?? error.hint],
  ];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(error.code)}</title>
<style>body{font:16px/1.5 system-ui;max-width:48rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}dt{font-weight:600}dd{margin:0 0 .75rem;overflow-wrap:anywhere}</style>
<h1>mtlsd could not get this page</h1><p>${escape(error.message)}</p><dl>${rows
    .map(([name = '', value = '']) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`)
    .join('')}</dl></html>\n`;
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
