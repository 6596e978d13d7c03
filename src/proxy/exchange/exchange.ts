/** One request and its response: decide, take a connection that was made for that decision, stream both ways, record once. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { StoreSnapshot, Wish } from '../certs/store/snapshot.ts';
import { type Authority, authorityOf, parseAuthority } from '../core/authority.ts';
import { buffered } from '../core/buffers.ts';
import { hintAt, MtlsdError, nativeCode } from '../core/errors.ts';
import { nextId } from '../core/ids.ts';
import { isoTime } from '../core/time.ts';
import { alertOf, explainAlert, toldAlert } from '../inspect/alerts.ts';
import { certificateSentence } from '../inspect/client-certificate.ts';
import type { ExchangeRecord, RecordError } from '../inspect/records.ts';
import type { ClientConnection, ClientStream } from './client/stream.ts';
import { type Decision, decide } from './decide.ts';
import { type ForwardedFields, forwardRequestFields, forwardResponseFields } from './hop-by-hop.ts';
import { refusedByNginx } from './nginx.ts';
import { answerProblem } from './problem.ts';
import { classify } from './upstream/classify.ts';
import { relay } from './relay.ts';
import type { Upstream } from './upstream/dial.ts';
import { refusedSilently } from './upstream/refusal.ts';
import { type Pools, type Target, targetOf, type UpstreamProtocol } from './upstream/pool.ts';
import { type RequestControl, type RequestHandler, StreamReset } from './upstream/request.ts';

export interface ExchangeContext {
  readonly store: () => StoreSnapshot;
  readonly pools: Pools;
  readonly onRecord: (record: ExchangeRecord) => void;
  /** `overrides` of the settings: whether Mtlsd- fields are heeded. They are taken off in any case. */
  readonly overrides: boolean;
  /** Whether a record's path keeps its query. */
  readonly logQuery: boolean;
  /** This daemon's name in Via, unique to its run (RFC 9110 §7.6.3). */
  readonly via: string;
  /** True while draining: connections end with their response. */
  readonly draining: () => boolean;
}

/** Safe to send again where the first attempt may have been seen (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class Exchange implements RequestHandler {
  readonly #context: ExchangeContext;
  readonly #connection: ClientConnection;
  readonly #stream: ClientStream;
  readonly #id = nextId('x');
  readonly #startedAt = Date.now();
  readonly #started = performance.now();
  #forwarded: ForwardedFields | null = null;
  #wish: Wish | null = null;
  #decision: Decision | null = null;
  #upstream: Upstream | null = null;
  #reused = false;
  #control: RequestControl | null = null;
  #retried = false;
  #responded = false;
  #done = false;
  #status: number | null = null;
  #requestBytes = 0;
  #responseBytes = 0;
  #sentAt = 0;
  #waitMs = 0;
  #noted: RecordError | null = null;

  constructor(context: ExchangeContext, connection: ClientConnection, stream: ClientStream) {
    this.#context = context;
    this.#connection = connection;
    this.#stream = stream;
  }

  run(): void {
    this.#connection.active += 1;
    this.#stream.onDrain = () => this.#control?.resume();
    this.#stream.onGone = (h2Code) => this.#gone(h2Code);
    try {
      const forwarded = forwardRequestFields(this.#stream.fields);
      this.#forwarded = forwarded;
      this.#refuseLoop(forwarded.via);
      this.#decide(forwarded);
      this.#dispatch(forwarded);
    } catch (error) {
      this.#fail(error instanceof MtlsdError ? error : classify(error, 'http', this.#connection.authority.text));
    }
  }

  get wanted(): boolean {
    return !this.#done;
  }

  onRequestStart(control: RequestControl): void {
    this.#control = control;
  }

  reached(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#reused = upstream.uses > 0;
    upstream.uses += 1;
    this.#sentAt = performance.now();
    this.#stream.readyForBody();
  }

  onBodySent(chunk: Buffer): void {
    this.#requestBytes += chunk.byteLength;
    buffered(chunk.byteLength);
  }

  onResponseStart(status: number, received: string[], reason: string, ended: boolean): void {
    if (this.#done) return;
    const fields = forwardResponseFields(received);
    if (status < 200) {
      this.#stream.inform(status, fields);
      return;
    }
    this.#responded = true;
    this.#status = status;
    this.#waitMs = performance.now() - this.#sentAt;
    if (this.#stream.http !== '2' && this.#context.draining()) fields.push('Connection', 'close');
    this.#stream.respond(status, reason || (STATUS_CODES[status] ?? ''), fields, ended);
  }

  onResponseData(chunk: Buffer): void {
    if (this.#done) return;
    if (this.#responseBytes === 0 && this.#status === 400) this.#noted = this.#nginxSays(chunk);
    this.#responseBytes += chunk.byteLength;
    buffered(chunk.byteLength);
    if (!this.#stream.write(chunk)) this.#control?.pause();
  }

  onResponseEnd(trailers: string[]): void {
    if (this.#done) return;
    this.#stream.end(trailers);
    this.#finish(this.#noted);
  }

  onTunnel(stream: Duplex, received: string[]): void {
    if (this.#done) {
      stream.destroy();
      return;
    }
    const { http } = this.#stream;
    // HTTP/2 has no key, and so no answer to one (RFC 8441 §5).
    const fields = forwardResponseFields(received);
    const answer = http === '2' ? without(fields, 'sec-websocket-accept') : fields;
    this.#responded = true;
    this.#status = http === '2' ? 200 : 101;
    this.#waitMs = performance.now() - this.#sentAt;
    this.#stream.onGone = null; // the relay sees the ends from here on
    void relay(this.#stream.acceptTunnel(answer), stream).then(({ sent, received: bytes }) => {
      this.#requestBytes = sent;
      this.#responseBytes = bytes;
      this.#finish(null);
    });
  }

  onResponseError(error: Error): void {
    if (this.#done) return;
    if (this.#mayRetry(error)) {
      this.#retried = true;
      try {
        this.#dispatch(this.#forwarded as ForwardedFields);
        return;
      } catch {
        // answered with the first error, below
      }
    }
    this.#fail(this.#explain(error));
  }

  #refuseLoop(via: string | undefined): void {
    if (via?.includes(this.#context.via))
      throw new MtlsdError(
        'LOOP_DETECTED',
        `the request to ${this.#connection.authority.text} went through this proxy before`,
      );
  }

  #decide(forwarded: ForwardedFields): void {
    const connection = this.#connection;
    const store = this.#context.store();
    if (connection.scheme === 'http') {
      this.#decision = inTheClear(store, connection.authority);
      return;
    }
    const heeded =
      this.#context.overrides && (forwarded.certificate !== undefined || forwarded.verification !== undefined);
    if (!heeded && connection.decision?.generation === store.generation) {
      this.#decision = connection.decision;
      return;
    }
    this.#wish = heeded ? readWish(connection.profile, forwarded) : { profile: connection.profile };
    this.#decision = decide(store, connection.authority, this.#wish);
    if (!heeded) connection.decision = this.#decision;
  }

  #dispatch(forwarded: ForwardedFields): void {
    const decision = this.#decision as Decision;
    if (decision.action === 'refuse')
      throw new MtlsdError('POLICY_REFUSED', `${this.#connection.authority.text} is refused: ${decision.why}`);
    const { method, path, body, http, tunnel } = this.#stream;
    const target = this.#target(decision);
    const fields = forwarded.fields.slice();
    fields.push('Via', `${http} ${this.#context.via}`);
    const host = this.#connection.host ?? this.#stream.host;
    if (forwarded.host === undefined && host !== undefined) fields.push('Host', host);
    else if (this.#connection.host !== null) replaceHost(fields, this.#connection.host);
    if (forwarded.teTrailers && target.protocol === 'h2') fields.push('te', 'trailers');
    this.#context.pools.dispatch(
      target,
      {
        method,
        authority: this.#connection.authority.text,
        path,
        fields,
        host,
        body,
        trailers: () => this.#stream.trailers(),
        announcesTrailers: forwarded.trailer,
        tunnel,
      },
      this,
    );
  }

  /** The one of the connection, unless this request is sent another way than those before it. */
  #target({ choice, policy }: Decision): Target {
    const connection = this.#connection;
    const { target: last, scheme, authority, profile } = connection;
    const protocol: UpstreamProtocol = this.#stream.http === '2' || connection.http2Only ? 'h2' : 'h1';
    if (last && last.choice === choice && last.policy === policy && last.protocol === protocol) return last;
    const target = targetOf({ scheme, authority, wish: this.#wish ?? { profile }, choice, policy, protocol });
    if (this.#decision === connection.decision) connection.target = target;
    return target;
  }

  /** Once, where nothing was sent, or where an idle connection died under an idempotent request without a body. */
  #mayRetry(error: Error): boolean {
    if (this.#retried || this.#responded) return false;
    if (error instanceof MtlsdError) {
      // A handshake that was cut off without a word: nothing was sent, so that any request may go again, and a server that
      // was just starting or stopping takes the second.
      if (wasCutOff(error)) return true;
      // no_application_protocol (RFC 7301 §3.2): the origin has no HTTP/1.1; the handshake failed, so nothing was sent.
      if (error.alert?.number !== 120 || this.#connection.http2Only || this.#stream.http === '2') return false;
      this.#connection.http2Only = true;
      return true;
    }
    if (this.#stream.body !== null) return false;
    if (error instanceof StreamReset) return error.untouched;
    const code = 'code' in error ? error.code : '';
    return (
      this.#reused &&
      IDEMPOTENT.has(this.#stream.method) &&
      (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE')
    );
  }

  /** What really ended the exchange: a late refusal of the client certificate looks like a closed socket to undici. */
  #explain(error: Error): MtlsdError {
    const where = this.#connection.authority.text;
    const record = this.#upstream?.record ?? null;
    const native = this.#upstream?.error ?? error;
    const alert = alertOf(native);
    const connection = record && { connection: record.connection };
    if (!record) return classify(error, 'http', where);
    const { requested, sent, name } = record.client_certificate;
    if (!alert) {
      const known = classify(error, 'http', where, connection ?? {});
      return known.code === 'CONNECTION_CLOSED' && this.#undecided
        ? refusedSilently(where, sent ? (name ?? 'one') : null, { ...connection, cause: error })
        : known;
    }
    const explained = explainAlert(alert, { requested, sent });
    const code =
      explained.about !== 'client_certificate'
        ? 'TLS_FAILED'
        : sent
          ? 'CLIENT_CERTIFICATE_REFUSED'
          : 'CLIENT_CERTIFICATE_REQUIRED';
    return new MtlsdError(
      code,
      `${where} ended the connection with alert ${alert.number} ${alert.name}: ${explained.meaning}`,
      { alert: toldAlert(alert, { requested, sent }), hint: explained.hint, ...connection, cause: native },
    );
  }

  /** The first request on a connection whose server may still be making up its mind about our certificate. */
  get #undecided(): boolean {
    return !this.#responded && !this.#reused && performance.now() < (this.#upstream?.undecidedUntil ?? 0);
  }

  #nginxSays(chunk: Buffer): RecordError | null {
    const certificate = this.#upstream?.record?.client_certificate;
    const said = certificate && refusedByNginx(chunk, certificate, this.#connection.authority.text);
    return said ? { ...said, hint: hintAt(said.hint, this.#connection.authority.text) } : null;
  }

  #fail(error: MtlsdError): void {
    if (this.#done) return;
    const { code, message, alert } = error;
    const hint = hintAt(error.hint, this.#connection.authority.text);
    const recorded: RecordError = { code, message, hint, alert };
    const h2Code = error.cause instanceof StreamReset ? error.cause.h2Code : undefined;
    if (this.#responded || (h2Code !== undefined && this.#stream.http === '2')) {
      this.#stream.onGone = null;
      this.#stream.abort(h2Code);
    } else {
      const answer = answerProblem(error, {
        hint,
        exchange: this.#id,
        authority: this.#connection.authority.text,
        accept: headerValue(this.#stream.fields, 'accept'),
        certificate: this.#certificateSentence(error),
      });
      this.#status = answer.status;
      this.#responded = true;
      if (this.#stream.http !== '2' && (this.#stream.body !== null || this.#context.draining()))
        answer.fields.push('Connection', 'close');
      this.#stream.respond(answer.status, answer.reason, answer.fields, false);
      if (this.#stream.method !== 'HEAD') this.#stream.write(answer.body);
      this.#stream.end([]);
    }
    this.#finish(recorded, error.connection);
  }

  #certificateSentence(error: MtlsdError): string | null {
    const facts = this.#upstream?.record?.client_certificate;
    if (facts) return certificateSentence(facts);
    if (error.certificate) return error.certificate;
    const choice = this.#decision?.choice;
    return choice ? `${choice.entry ? `${choice.entry.name}, not sent` : 'none'} (${choice.reason})` : null;
  }

  #gone(h2Code?: number): void {
    if (this.#done) return;
    const error = new MtlsdError('CLIENT_GONE', 'the client left before the response was through');
    this.#finish({ code: error.code, message: error.message, hint: error.hint, alert: null });
    this.#control?.abort(error, h2Code);
  }

  #finish(error: RecordError | null, connection: string | null = null): void {
    this.#done = true;
    this.#connection.active -= 1;
    const { authority, client, serverName } = this.#connection;
    const record = this.#upstream?.record ?? null;
    const { method, path, http } = this.#stream;
    const query = this.#context.logQuery ? -1 : path.indexOf('?');
    this.#context.onRecord({
      event: 'exchange',
      exchange: this.#id,
      connection: record?.connection ?? connection,
      started: isoTime(this.#startedAt),
      client,
      method,
      authority: authority.text,
      path: query === -1 ? path : path.slice(0, query),
      http,
      upstream_http: this.#upstream ? (record?.tls?.alpn === 'h2' ? '2' : '1.1') : null,
      status: this.#status,
      request_bytes: this.#requestBytes,
      response_bytes: this.#responseBytes,
      certificate: this.#decision?.choice.entry?.name ?? null,
      authorized: record?.verification.authorized ?? (error?.code === 'SERVER_CERTIFICATE_REJECTED' ? false : null),
      reused: this.#reused,
      ms: {
        total: round(performance.now() - this.#started),
        connect: record && !this.#reused ? round(record.ms.dns + record.ms.connect) : 0,
        tls: record && !this.#reused ? round(record.ms.tls + record.ms.settle) : 0,
        wait: round(this.#waitMs),
      },
      overrides: overridesOf(this.#wish),
      mismatch:
        this.#connection.host === null
          ? mismatchOf(authority.host, authority.port, this.#stream.host, serverName)
          : null,
      error,
    });
  }
}

function wasCutOff({ code, nothingSent, alert, cause }: MtlsdError): boolean {
  return (
    code === 'TLS_FAILED' && nothingSent && alert === null && ['ECONNRESET', 'EPIPE'].includes(nativeCode(cause) ?? '')
  );
}

/** @throws MtlsdError BAD_REQUEST for a Mtlsd-Verification that is neither enforce nor report */
function readWish(profile: string | undefined, { certificate, verification }: ForwardedFields): Wish {
  if (verification !== undefined && verification !== 'enforce' && verification !== 'report')
    throw new MtlsdError(
      'BAD_REQUEST',
      `Mtlsd-Verification is ${JSON.stringify(verification.slice(0, 50))}; expected enforce or report`,
      {
        hint: 'send Mtlsd-Verification: enforce or Mtlsd-Verification: report, or leave it out',
      },
    );
  return { profile, certificate, verification };
}

/** Plain HTTP takes no part in anything but `unmatched: refuse`. */
function inTheClear(store: StoreSnapshot, authority: Authority): Decision {
  const decision = decide(store, authority, {});
  return {
    ...decision,
    action: decision.action === 'refuse' ? 'refuse' : 'intercept',
    choice: { entry: null, reason: 'plain HTTP never carries a certificate' },
  };
}

function headerValue(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if ((fields[i] as string).toLowerCase() === name) return fields[i + 1];
  return undefined;
}

function replaceHost(fields: string[], host: string): void {
  for (let i = 0; i < fields.length; i += 2) if ((fields[i] as string).toLowerCase() === 'host') fields[i + 1] = host;
}

function without(fields: readonly string[], name: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if ((fields[i] as string).toLowerCase() !== name) kept.push(fields[i] as string, fields[i + 1] as string);
  }
  return kept;
}

function overridesOf(wish: Wish | null): ExchangeRecord['overrides'] {
  if (!wish || (wish.certificate === undefined && wish.verification === undefined && wish.profile === undefined))
    return null;
  const { certificate, verification, profile } = wish;
  return { ...(verification && { verification }), ...(certificate && { certificate }), ...(profile && { profile }) };
}

/** The Host field and the SNI decide nothing here; where they name another place than CONNECT did, it is told. */
function mismatchOf(
  host: string,
  port: number,
  hostField: string | undefined,
  serverName: string | null,
): ExchangeRecord['mismatch'] {
  const otherHost = hostField !== undefined && !sameAuthority(hostField, host, port);
  const otherName = serverName !== null && serverName !== host && !sameAuthority(serverName, host, port);
  if (!otherHost && !otherName) return null;
  return {
    ...(otherHost && { host: hostField.slice(0, 255) }),
    ...(otherName && { server_name: serverName.slice(0, 255) }),
  };
}

function sameAuthority(text: string, host: string, port: number): boolean {
  if (text === host || text === `${host}:${port}`) return true; // nearly always; spares the parse
  try {
    return parseAuthority(text, port).text === authorityOf(host, port).text;
  } catch {
    return false;
  }
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
