/** The chain of a new certificate: from what the CA sent, the chain before it, and the CA's list of its own certificates. */
import type { X509Certificate } from 'node:crypto';
import { certificateFacts, isSelfSigned, issuedBy } from '../../core/facts.ts';
import { tryOr } from '../../core/try-or.ts';
import { authorityKeyIdentifier, certificateParts } from '../../core/extensions.ts';
import { LONGEST_CHAIN } from '../identity/chain.ts';
import { asRenewalFault, RenewalFault } from './fault.ts';

export interface ChainSources {
  /** What came with the new certificate. */
  readonly sent: readonly X509Certificate[];
  /** Of the certificate that is renewed, leaf first. */
  readonly before: readonly X509Certificate[];
  /** The CA's own certificates, asked for where the rest leaves a gap: an intermediate may be new. */
  readonly ofCa: () => Promise<readonly X509Certificate[]>;
  /** Whether a root among what was sent may end the chain: where a program of the user's sent it. */
  readonly trustSentRoot: boolean;
}

/**
 * Every link is verified by its signature. The chain ends at a root that the CA lists, or where the chain before ended: at
 * the same issuer, even without that issuer's certificate. A chain that ends elsewhere is another CA's.
 * @returns leaf first, without the root
 * @throws RenewalFault CHAIN_INCOMPLETE
 */
export async function completeChain(leaf: X509Certificate, sources: ChainSources): Promise<readonly X509Certificate[]> {
  const { sent, before, ofCa, trustSentRoot } = sources;
  const above = before.slice(1);
  const last = before.at(-1);
  const at = (pool: readonly X509Certificate[], roots: readonly X509Certificate[]) => walk(leaf, pool, roots, last);
  const known = [...above, ...(last && isSelfSigned(last) ? [last] : []), ...(trustSentRoot ? sent : [])];
  const first = at([...sent, ...above], known);
  // An issuer that was absent before too: its name is proof enough only where the CA lists no certificate.
  if (first.end === 'root' || (first.end === 'same issuer' && before.length > 1)) return first.chain;
  let listed: readonly X509Certificate[] = [];
  let unlisted = '';
  try {
    listed = await ofCa();
  } catch (error) {
    unlisted = `; ${asRenewalFault(error).message}`;
  }
  const second = at([...sent, ...above, ...listed], [...known, ...listed]);
  if (second.end !== 'unknown') return second.chain;
  const top = second.chain.at(-1) ?? leaf;
  const { subject, issuer } = certificateFacts(top);
  const why = isSelfSigned(top)
    ? `it ends at ${subject}, a root that the CA does not list`
    : `the certificate of its issuer ${issuer} is missing, or did not sign it`;
  throw new RenewalFault('CHAIN_INCOMPLETE', `the chain of the new certificate is not complete: ${why}${unlisted}`);
}

interface Walked {
  readonly chain: readonly X509Certificate[];
  readonly end: 'root' | 'same issuer' | 'unknown';
}

function walk(
  leaf: X509Certificate,
  pool: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  lastBefore: X509Certificate | undefined,
): Walked {
  const isRoot = (candidate: X509Certificate): boolean =>
    isSelfSigned(candidate) && roots.some(({ fingerprint256 }) => fingerprint256 === candidate.fingerprint256);
  const chain = [leaf];
  for (let top = leaf; chain.length <= LONGEST_CHAIN; ) {
    if (isSelfSigned(top)) return { chain, end: isRoot(top) ? 'root' : 'unknown' };
    const issuers = [...roots, ...pool].filter((candidate) => issuedBy(top, candidate));
    if (issuers.some(isRoot)) return { chain, end: 'root' };
    const issuer = issuers.find((candidate) => !chain.includes(candidate));
    if (!issuer) {
      // A certificate has that name and did not sign it, so another CA uses the name.
      const impostor = [...roots, ...pool].some(({ subject }) => subject === top.issuer);
      return { chain, end: !impostor && lastBefore && sameIssuer(top, lastBefore) ? 'same issuer' : 'unknown' };
    }
    chain.push(issuer);
    top = issuer;
  }
  return { chain, end: 'unknown' };
}

function sameIssuer(a: X509Certificate, b: X509Certificate): boolean {
  if (a.fingerprint256 === b.fingerprint256) return true;
  if (a.issuer !== b.issuer) return false;
  const [one, other] = [a, b].map((each) => tryOr(() => authorityKeyIdentifier(certificateParts(each)), null));
  return one && other ? one.equals(other) : !one && !other;
}
