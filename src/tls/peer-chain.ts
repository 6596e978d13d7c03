/** The chain that a server showed, read from a live socket once and kept with its connection. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { children } from '../core/der.ts';
import { Lru } from '../core/lru.ts';

/** A hostile server could send hundreds; reading one costs. */
const LONGEST_CHAIN = 32;

/**
 * What the server sent, in its order, strangers too; without the anchor where the server did not send it. Empty where the
 * connection shows none, as a resumed session does. To be called once: Node takes the certificates off the connection as
 * it reads them, so that a second call finds nothing.
 *
 * getPeerCertificate(true) is not used, nor is toLegacyObject anywhere: on a certificate whose EC key lies on a curve that
 * NIST gives no name (secp256k1, brainpoolP256r1) they end the process with SIGSEGV, and a server may send what it likes
 * (docs/decisions/0002-reading-chains.md).
 */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next && chain.length < LONGEST_CHAIN) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

/** How long a chain that OpenSSL accepts is taken to be sent with its leaf: bounds what reading it loses. */
const SEEN_MS = 10 * 60_000;
/** One that it refuses is what somebody works on: shorter, so that the record shows the work. */
const SEEN_REFUSED_MS = 60_000;
/** Leaves remembered; a browser visits as many hosts in a day. */
const MOST_SEEN = 500;

export interface ChainReader {
  /**
   * @param place the authority
   * @param opensslError OpenSSL's verdict on this connection; null where it accepts the chain
   * @param again whatever was seen before: something is looked for on the chain beyond what to show of it
   */
  read(socket: TLSSocket, place: string, opensslError: string | null, again: boolean): X509Certificate[];
}

/**
 * Reads chains and spares reading one again that was seen with the same leaf and the same verdict a moment ago, since each
 * reading loses 4.4 KB for each certificate above the leaf for the life of the process (Node 24.21). Who has the leaf's key could
 * send that chain again, so that nothing passes that would not pass otherwise (docs/decisions/0002-reading-chains.md).
 */
export function chainReader(now: () => number = () => performance.now()): ChainReader {
  const seen = new Lru<string, { readonly chain: X509Certificate[]; readonly until: number }>(MOST_SEEN);
  return {
    read(socket, place, opensslError, again) {
      const leaf = again ? null : sessionLeaf(socket);
      if (!leaf) return peerChain(socket);
      const key = `${place} ${opensslError} ${leaf.toString('base64')}`;
      const known = seen.get(key);
      if (known && known.until > now()) return known.chain;
      const chain = peerChain(socket);
      const until = now() + (opensslError === null ? SEEN_MS : SEEN_REFUSED_MS);
      if (chain.length > 1 && chain[0]?.raw.equals(leaf)) seen.set(key, { chain, until });
      else seen.delete(key);
      return chain;
    },
  };
}

/** This connection's leaf from its session (OpenSSL's i2d_SSL_SESSION: the peer's certificate is field [3]). */
function sessionLeaf(socket: TLSSocket): Buffer | null {
  const session = socket.getSession();
  if (!session) return null;
  try {
    return children(withoutPrefix(session)).find(({ tag }) => tag === 0xa3)?.value ?? null;
  } catch {
    return null;
  }
}

/** What Node (24.21) puts in front of the session, with the length of a host name behind it; another Node may not. */
const PREFIX = Buffer.from('\0nodejs:tls:session:1\0');

function withoutPrefix(session: Buffer): Buffer {
  if (!session.subarray(0, PREFIX.length).equals(PREFIX)) return session;
  return session.subarray(PREFIX.length + 2 + session.readUInt16BE(PREFIX.length));
}

/**
 * Keeps Node itself from making that object of a chain that OpenSSL has accepted: it does so before it calls
 * `checkServerIdentity` (lib/_tls_wrap.js, onConnectSecure), whatever that is. For sockets whose name is checked by others.
 */
export function withoutPeerObject<S extends TLSSocket>(socket: S): S {
  socket.getPeerCertificate = () => ({}) as never;
  return socket;
}

/**
 * OpenSSL's verdict while the handshake still runs, as `authorizationError` will say it: null where it accepts the chain.
 * Node keeps it to itself until the end (24.21), which a TLS 1.2 server that demands a client certificate never lets come;
 * a Node that no longer has the method reads as a refusal.
 */
export function earlyVerifyError(socket: TLSSocket): string | null {
  const { _handle: handle } = socket as unknown as {
    _handle?: { verifyError?: () => (Error & { code?: string }) | null | undefined };
  };
  if (typeof handle?.verifyError !== 'function') return 'UNSPECIFIED';
  const error = handle.verifyError();
  return error ? (error.code ?? 'UNSPECIFIED') : null;
}
