/** One handshake of a probe: make the offer, record the answer, close. */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { Boundary, type ReportFault } from '../../core/boundary.ts';
import { type Alert, nativeCode } from '../../core/errors.ts';
import { tryOr } from '../../core/try-or.ts';
import { alertOf } from '../verify/alerts.ts';
import {
  type CertificateRequestFields,
  certificateRequestOf,
  certificatesOf,
  serverHelloOf,
} from './handshake-fields.ts';
import { type HandshakeMessage, handshakeMessages, MESSAGE } from './handshake-messages.ts';
import { type Handshake, handshake, type HandshakeFailure, settleCapMs } from '../../tls/handshake.ts';
import { observed, verifyError } from '../../tls/observed.ts';
import { Tap } from './tap.ts';

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface Offer {
  readonly version: TlsVersion;
  readonly serverName: string;
  readonly alpn: readonly string[];
  readonly identity: { readonly certPem: string; readonly keyPem: string } | null;
  /** PEM; OpenSSL's verdict is only of use with the anchors. */
  readonly ca: readonly string[];
  readonly partialChain: boolean;
  /** Asks for an OCSP staple. */
  readonly askStaple: boolean;
  /** OpenSSL cipher list; default Node's. */
  readonly ciphers?: string;
  readonly timeoutMs: number;
  readonly report?: ReportFault;
}

/** `closed`: without an alert. `refused`: with an alert, or an error of OpenSSL on our side. */
export type Outcome = 'accepted' | 'refused' | 'closed' | 'timeout' | 'unreachable';

export interface Seen {
  /** The one version that was offered. */
  readonly offered: TlsVersion;
  /** Whether our certificate was to be presented. */
  readonly ours: boolean;
  readonly outcome: Outcome;
  readonly error: Error | null;
  readonly alert: Alert | null;
  readonly protocol: string | null;
  /** That of the ServerHello, which may be older than what was offered. */
  readonly version: TlsVersion | null;
  /** IANA's name. */
  readonly cipher: string | null;
  readonly opensslCipher: string | null;
  readonly alpn: string | null;
  /** null where the connection ended before the server's flight was through. */
  readonly request: CertificateRequestFields | 'none' | null;
  /** Whether our certificate was in our flight; null where that is unknown. */
  readonly certificateSent: boolean | null;
  /** DER, in the order in which the server sent them. */
  readonly sentByServer: readonly Buffer[];
  /** The same, as far as they can be read. */
  readonly chain: readonly X509Certificate[];
  /** As `socket.authorizationError`, or NOT_JUDGED where the handshake ended before OpenSSL's verdict was out. */
  readonly opensslError: string | null;
  /** As stapled, not verified; null for none. */
  readonly staple: Buffer | null;
  readonly socketFacts: { readonly ip: string; readonly port: number } | null;
  readonly ms: number;
}

export const NOT_JUDGED = 'not judged';

/** Never throws: a failure is a result. */
export async function attempt(connect: () => Promise<Socket>, offer: Offer): Promise<Seen> {
  const started = performance.now();
  const ended = await observedHandshake(connect, offer);
  return { offered: offer.version, ours: offer.identity !== null, ...ended, ms: performance.now() - started };
}

type Result = Omit<Seen, 'offered' | 'ours' | 'ms'>;

async function observedHandshake(connect: () => Promise<Socket>, offer: Offer): Promise<Result> {
  let raw: Socket;
  try {
    raw = await connect();
  } catch (error) {
    return nothing(error);
  }
  const { remoteAddress: ip, remotePort: port } = raw;
  const socketFacts = ip !== undefined && port !== undefined ? { ip, port } : null;
  const tap = new Tap(raw);
  const faults: Error[] = [];
  const inside = new Boundary('probe', offer.report ?? (() => {}), (error) => {
    faults.push(asError(error));
    tap.destroy();
  });
  const secrets = new Map<string, Buffer>();
  let secure: SecureFacts = NOT_SECURE;
  const onKeylog = (line: Buffer, socket: TLSSocket): void => {
    const [label = '', , secret = ''] = line.toString('latin1').trim().split(' ');
    secrets.set(label, Buffer.from(secret, 'hex'));
    if (secure !== NOT_SECURE) return;
    // The server's flight is read and the handshake is not finished: a failed handshake leaves no later moment. OpenSSL has not
    // decided yet.
    secure = { ...facts(socket), opensslError: NOT_JUDGED };
    // Read at once: after the server closes the connection, the handle and its facts are gone.
    const onSecure = (): void => {
      secure = facts(socket);
    };
    socket.once('secureConnect', inside.guard(onSecure));
  };
  const { serverName, alpn, timeoutMs, askStaple } = offer;
  const started = performance.now();
  let result: Handshake;
  try {
    const secureContext = contextFor(offer);
    result = await handshake({
      transport: tap,
      secureContext,
      serverName,
      alpn,
      timeoutMs,
      askStaple,
      onKeylog: inside.guard(onKeylog),
    });
  } catch (error) {
    tap.destroy();
    return { ...nothing(error), outcome: 'refused' };
  }
  const { socket, failure } = result;
  let ended = failure === null ? ACCEPTED : endOf(failure);
  // TLS 1.3 reports a refused certificate after the handshake (RFC 8446 §4.4.2.4).
  if (failure === null && socket.getProtocol() === 'TLSv1.3' && read(tap, secrets).request !== 'none')
    ended = await verdictOfServer(socket, settleCapMs(performance.now() - started));
  if (faults[0]) ended = endOf(faults[0]);
  const flights = read(tap, secrets);
  socket.destroy();
  return {
    ...ended,
    alert: ended.error && alertOf(ended.error),
    ...flights,
    chain: flights.sentByServer.flatMap((der) => tryOr(() => new X509Certificate(der), [])),
    ...secure,
    staple: result.staple,
    socketFacts,
  };
}

function contextFor({ version, identity, ca, partialChain, ciphers }: Offer): tls.SecureContext {
  const old = version < 'TLSv1.2';
  return tls.createSecureContext({
    ca: [...ca],
    allowPartialTrustChain: partialChain,
    minVersion: version,
    maxVersion: version,
    // TLS 1.0 and 1.1 need level 0 in OpenSSL 3; a probe wants to know whether a server still speaks them.
    ciphers: ciphers ?? (old ? `${tls.DEFAULT_CIPHERS}:@SECLEVEL=0` : tls.DEFAULT_CIPHERS),
    ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
  });
}

type Ended = Pick<Seen, 'outcome' | 'error'>;

const ACCEPTED: Ended = { outcome: 'accepted', error: null };

function endOf(failure: HandshakeFailure): Ended {
  if (!(failure instanceof Error)) return { outcome: failure === 'timeout' ? 'timeout' : 'closed', error: null };
  const silent = alertOf(failure) === null && /^E(CONN|PIPE)/.test(nativeCode(failure) ?? '');
  return { outcome: silent ? 'closed' : 'refused', error: failure };
}

/** The first of a session ticket, an alert, an end or some round trips shows whether the server accepts our certificate. */
function verdictOfServer(socket: TLSSocket, capMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, capMs, ACCEPTED);
    const done = (ended: Ended): void => {
      clearTimeout(timer);
      resolve(ended);
    };
    const onEnd = (): void => done(endOf('closed'));
    socket.once('session', () => done(ACCEPTED)).on('error', (error: Error) => done(endOf(error)));
    socket.once('end', onEnd).once('close', onEnd).resume();
    if (socket.destroyed) onEnd();
  });
}

const VERSIONS: Record<number, TlsVersion> = {
  0x0301: 'TLSv1',
  0x0302: 'TLSv1.1',
  0x0303: 'TLSv1.2',
  0x0304: 'TLSv1.3',
};

type ReadFacts = Pick<Seen, 'version' | 'request' | 'certificateSent' | 'sentByServer'>;

/** What both flights held, as far as they came. */
function read(tap: Tap, secrets: ReadonlyMap<string, Buffer>): ReadFacts {
  const clear = handshakeMessages(tap.received, null);
  const hello = bodyOf(clear, MESSAGE.serverHello);
  const chosen = hello && tryOr(() => serverHelloOf(hello), undefined);
  const serverSecret = secrets.get('SERVER_HANDSHAKE_TRAFFIC_SECRET');
  const isTls13 = serverSecret !== undefined;
  const key = (secret: Buffer | undefined) => (secret && chosen ? { secret, suite: chosen.suite } : null);
  const theirs = isTls13 ? handshakeMessages(tap.received, key(serverSecret)) : clear;
  const ours = handshakeMessages(tap.sent, isTls13 ? key(secrets.get('CLIENT_HANDSHAKE_TRAFFIC_SECRET')) : null);
  const asked = bodyOf(theirs, MESSAGE.certificateRequest);
  const request = asked && tryOr(() => certificateRequestOf(asked, isTls13), undefined);
  // ServerHelloDone (14) or Finished ends the flight that could have asked.
  const whole = theirs.some(({ type }) => type === MESSAGE.finished || type === 14);
  const shown = bodyOf(theirs, MESSAGE.certificate);
  const answer = bodyOf(ours, MESSAGE.certificate);
  return {
    version: VERSIONS[chosen?.version ?? 0] ?? null,
    request: request ?? (whole && !asked ? 'none' : null),
    certificateSent: answer ? tryOr(() => certificatesOf(answer, isTls13).length > 0, null) : whole ? false : null,
    sentByServer: shown ? tryOr(() => certificatesOf(shown, isTls13), []) : [],
  };
}

function bodyOf(messages: readonly HandshakeMessage[], type: number): Buffer | undefined {
  return messages.find((message) => message.type === type)?.body;
}

type SecureFacts = Pick<Seen, 'protocol' | 'cipher' | 'opensslCipher' | 'alpn' | 'opensslError'>;

const NOT_SECURE: SecureFacts = {
  protocol: null,
  cipher: null,
  opensslCipher: null,
  alpn: null,
  opensslError: NOT_JUDGED,
};

function facts(socket: TLSSocket): SecureFacts {
  const { protocol, cipher, standardCipher, alpn } = observed(socket);
  return { protocol, cipher: standardCipher, opensslCipher: cipher, alpn, opensslError: verifyError(socket) };
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

function nothing(error: unknown): Result {
  return {
    outcome: 'unreachable',
    error: asError(error),
    alert: null,
    version: null,
    request: null,
    certificateSent: null,
    sentByServer: [],
    chain: [],
    staple: null,
    ...NOT_SECURE,
    socketFacts: null,
  };
}
