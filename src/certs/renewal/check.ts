/** What a new certificate must satisfy before it replaces the current one. Nothing is written until all of it holds. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { certificateFacts, rfc3339 } from '../../core/facts.ts';
import { type LoadedIdentity, loadIdentity } from '../identity/load.ts';
import type { ClientIdentity } from '../identity/identity.ts';
import { type ChainSources, completeChain } from './complete-chain.ts';
import { RenewalFault } from './fault.ts';

export interface NewMaterial extends Omit<ChainSources, 'before'> {
  readonly key: KeyObject;
}

/**
 * @param before the identity that is renewed
 * @returns the new one: key and certificate fit, the chain is complete, nothing is missing that was there before
 * @throws RenewalFault with what does not hold
 */
export async function checkRenewed(
  before: ClientIdentity,
  { key, ...sources }: NewMaterial,
  now: number,
): Promise<ClientIdentity> {
  const leaf = leafOf(sources.sent, key);
  checkLeaf(before.leaf, leaf, now);
  const chain = await completeChain(leaf, { ...sources, before: before.chain });
  return identityOf(chain, key);
}

/**
 * The same for a first certificate: there is no earlier one to compare it with.
 * @throws RenewalFault
 */
export async function checkIssued({ key, ...sources }: NewMaterial, now: number): Promise<ClientIdentity> {
  const leaf = leafOf(sources.sent, key);
  checkUsage(leaf, false);
  checkDates(leaf, now);
  return identityOf(await completeChain(leaf, { ...sources, before: [] }), key);
}

/** The same for files that a program wrote: what it got from the CA is not known. */
export function checkReplaced(
  before: ClientIdentity,
  { identity, problems }: LoadedIdentity,
  now: number,
): ClientIdentity {
  const [fault] = problems;
  if (!identity) throw new RenewalFault('CERTIFICATE_UNUSABLE', fault?.message ?? 'the new files can not be loaded');
  checkLeaf(before.leaf, identity.leaf, now);
  return identity;
}

function leafOf(sent: readonly X509Certificate[], key: KeyObject): X509Certificate {
  const leaf = sent.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf) return leaf;
  const [first] = sent;
  const subject = first ? certificateFacts(first).subject : 'nothing';
  throw new RenewalFault('KEY_MISMATCH', `the certificate that came, ${subject}, is not for the key of the request`);
}

function checkLeaf(before: X509Certificate, after: X509Certificate, now: number): void {
  const [old, facts] = [certificateFacts(before), certificateFacts(after)];
  if (after.subject !== before.subject)
    throw new RenewalFault('SUBJECT_DIFFERS', `the certificate that came is for ${facts.subject}, not ${old.subject}`);
  const missing = old.sans.filter((name) => !facts.sans.includes(name));
  if (missing.length > 0)
    throw new RenewalFault('NAMES_MISSING', `the certificate that came is not for ${missing.slice(0, 5).join(', ')}`);
  checkUsage(after, before.ca);
  if (!(after.validToDate.getTime() > before.validToDate.getTime()))
    throw new RenewalFault(
      'NOT_LATER',
      `the certificate that came ends ${facts.not_after}, not later than the present one (${old.not_after})`,
    );
  checkDates(after, now);
}

function checkUsage(after: X509Certificate, mayBeCa: boolean): void {
  const usages = certificateFacts(after).extended_key_usage;
  if (usages && !usages.includes('clientAuth') && !usages.includes('anyExtendedKeyUsage'))
    throw new RenewalFault(
      'NOT_CLIENT_CERTIFICATE',
      `the certificate that came is for ${usages.slice(0, 5).join(', ')}, not for clientAuth`,
    );
  if (after.ca && !mayBeCa)
    throw new RenewalFault('NOT_CLIENT_CERTIFICATE', 'the certificate that came is a CA certificate');
}

function checkDates(after: X509Certificate, now: number): void {
  const { not_before, not_after } = certificateFacts(after);
  if (after.validFromDate.getTime() <= now && now < after.validToDate.getTime()) return;
  const time = rfc3339(new Date(now));
  throw new RenewalFault(
    'NOT_VALID_NOW',
    `the certificate that came is valid from ${not_before} to ${not_after}; it is ${time}`,
  );
}

/** Loads it as the store would, which finds keys that OpenSSL refuses. */
async function identityOf(chain: readonly X509Certificate[], key: KeyObject): Promise<ClientIdentity> {
  const bytes = (pem: string, label: string) => ({ bytes: Buffer.from(pem), label });
  const { identity, problems } = await loadIdentity(
    {
      cert: bytes(chain.map((certificate) => certificate.toString()).join(''), 'the new certificate'),
      key: bytes(key.export({ type: 'pkcs8', format: 'pem' }).toString(), 'the new key'),
      pfx: null,
      alias: null,
      passphrase: null,
    },
    { certificates: [] },
  );
  if (identity) return identity;
  const fault = problems.find(({ severity }) => severity === 'error');
  throw new RenewalFault('CERTIFICATE_UNUSABLE', fault?.message ?? 'the new certificate can not be used');
}
