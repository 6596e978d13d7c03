/** The certificates that a server sends now, by one handshake that nothing follows. */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { attempt } from './attempt.ts';

export interface SentChainOptions {
  readonly connect: () => Promise<Socket>;
  readonly serverName: string;
  /** For one handshake. */
  readonly timeoutMs: number;
}

/** In the server's order; empty where it can't be reached or sends none. */
export async function sentChain({
  connect,
  serverName,
  timeoutMs,
}: SentChainOptions): Promise<readonly X509Certificate[]> {
  const offer = { serverName, alpn: [], identity: null, ca: [], partialChain: false, askStaple: false, timeoutMs };
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
    const { chain } = await attempt(connect, { ...offer, version });
    if (chain.length > 0) return chain;
  }
  return [];
}
