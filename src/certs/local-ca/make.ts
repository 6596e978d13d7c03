/** Makes a CA for this installation alone. */
import { generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import os from 'node:os';
import { promisify } from 'node:util';
import { nameAttributes, printable } from '../../core/facts.ts';
import { mint } from './mint.ts';

export interface Pair {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

const HOUR_MS = 3_600_000;
/**
 * Ten years: its certificate is put into trust stores by people, and a key that never leaves this machine is not made safer
 * by doing that work again each year. The limits that browsers and systems set are for leaves.
 */
const YEARS = 10;

/**
 * @param nameConstraints what it may sign for; everything where null
 * @param others whose names it must not have: NSS takes CAs of one name for one
 */
export async function makeCa(nameConstraints: Buffer | null, others: readonly X509Certificate[] = []): Promise<Pair> {
  const { publicKey, privateKey: key } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const notBefore = new Date(now - HOUR_MS); // clocks differ, and a client's may be behind
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + YEARS);
  const taken = new Set(others.map(({ subject }) => nameAttributes(subject).CN?.[0]));
  let commonName = nameFor(now, '');
  for (let count = 2; taken.has(commonName); count++) commonName = nameFor(now, `, ${count}`);
  const subject = { organization: 'mtlsd', commonName };
  return {
    certificate: mint({ subject, publicKey, key, notBefore, notAfter, ca: { pathLength: 0, nameConstraints } }),
    key,
  };
}

/** Host and date tell two installations apart in a trust store. RFC 5280 ub-common-name is 64. */
function nameFor(now: number, count: string): string {
  const day = new Date(now).toISOString().slice(0, 10);
  const host = printable(os.hostname()).slice(0, 64 - `mtlsd local CA (, ${day}${count})`.length);
  return `mtlsd local CA (${host}, ${day}${count})`;
}
