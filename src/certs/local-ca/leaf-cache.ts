/** The secure contexts towards clients, one a host: bounded, always valid by the clock of this moment. */
import { generateKeyPairSync } from 'node:crypto';
import tls from 'node:tls';
import { Lru } from '../../core/lru.ts';
import { toPem } from '../identity/pem.ts';
import { mintLeafDer } from './leaf.ts';
import type { Signer } from './signer.ts';

export interface LeafCache {
  /**
   * The context with the leaf for a host. Synchronous: minting takes 0.15 ms and the context 0.3 ms (Node 24.21), less
   * than the handshake that follows, so there is nothing to wait for and no second flight for the same name. Make the socket
   * in the same turn: the next call may drop the context and close it, and Node (24.21) aborts on a socket made with a closed
   * one. Sockets made before that hold what they need.
   * @param host canonical name, or IP address without brackets
   */
  contextFor(host: string): tls.SecureContext;
  readonly size: number;
  /** Since the start. */
  readonly minted: number;
}

export interface LeafCacheOptions {
  /** Contexts kept; the least recently used goes first. Default 1000, about 28 MiB. */
  readonly max?: number;
  /** Milliseconds since 1970, for tests. */
  readonly now?: () => number;
}

interface Leaf {
  readonly signer: Signer;
  readonly context: tls.SecureContext;
  readonly notBefore: Date;
  readonly renewAt: number;
}

/** Two thirds of its life, as ACME clients do: a long way from the end, should renewal ever be late. */
const RENEW_AFTER = 2 / 3;

/** @param signerFor who signs for a host now: a leaf of another is not used again */
export function leafCache(signerFor: (host: string) => Signer, options: LeafCacheOptions = {}): LeafCache {
  const { max = 1000, now = Date.now } = options;
  // One key for all leaves: they would all lie in this process's memory and guard the same thing, and a key of its own
  // per host would only cost time. It lives as long as the process and is never written.
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  // A context's 20 KB lie outside of V8's heap, so that V8 does not see that it should collect.
  const leaves = new Lru<string, Leaf>(max, ({ context }) => context.context.close());
  let minted = 0;

  function make(host: string, signer: Signer): Leaf {
    const leaf = mintLeafDer(signer, host, publicKey, now());
    minted++;
    // ca: [] keeps the runtime's 140 anchors out of a context that verifies nobody.
    const context = tls.createSecureContext({ key, cert: toPem('CERTIFICATE', leaf.der) + signer.above, ca: [] });
    const { notBefore } = leaf;
    return { signer, context, notBefore, renewAt: now() + (leaf.notAfter.getTime() - now()) * RENEW_AFTER };
  }

  return {
    contextFor(host) {
      const known = leaves.get(host);
      const signer = signerFor(host);
      // A clock that was set back may be before its time.
      if (known?.signer === signer && known.notBefore.getTime() <= now() && known.renewAt > now()) return known.context;
      const leaf = make(host, signer);
      leaves.set(host, leaf);
      return leaf.context;
    },
    get size() {
      return leaves.size;
    },
    get minted() {
      return minted;
    },
  };
}
