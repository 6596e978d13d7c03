/**
 * Certificate revocation lists (RFC 5280 §5): read once and whole, then asked for serial numbers. A serial is found by its bytes
 * in the list, which takes 1 ms in 10 MB (Node 24.21): an index of 400,000 entries would have several times the memory.
 */
import type { X509Certificate } from 'node:crypto';
import { children, type Element, elements, firstElement, oidText, TAG, timeOf } from '../der.ts';
import {
  basicConstraints,
  type CertificateParts,
  certificateParts,
  crlNames,
  distributionPointNames,
  extensionsIn,
} from '../extensions.ts';
import { Lru } from '../lru.ts';
import { TimeSlice } from '../time-slice.ts';
import { tryOr } from '../try-or.ts';
import {
  isSignedBy,
  maySignCrls,
  reasonName,
  type Revocation,
  type Signed,
  signedOf,
  signingMethod,
} from './signed.ts';

export interface Crl {
  /** DER of the Name. */
  readonly issuer: Buffer;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly entries: number;
  /** Differs between the parts of a CRL that is split; one replaces another where this and the issuer are equal. */
  readonly scope: string;
  /** Whether a certificate that it does not list is good: a part of a CRL, or one only for CAs, does not cover all. */
  covers(certificate: CertificateParts): boolean;
  /** The revocation of a serial number (`serialNumber`); null where it is not listed. */
  find(serial: Buffer): Revocation | null;
  /** Whether this is the issuer and the signature its own. Never throws. */
  isOf(issuer: X509Certificate): boolean;
}

const EXTENSION = {
  crlNumber: '2.5.29.20',
  reason: '2.5.29.21',
  delta: '2.5.29.27',
  point: '2.5.29.28',
  aki: '2.5.29.35',
};

/**
 * @throws RangeError saying why it can't be used: damaged, a delta CRL, an indirect one, a critical extension that is not known,
 *   no nextUpdate, or a broken digest
 */
export async function readCrl(der: Buffer): Promise<Crl> {
  const signed = signedOf(children(der));
  signingMethod(signed);
  const fields = children(signed.content.raw);
  const first = fields[0]?.tag === TAG.integer ? 1 : 0;
  const [, issuer, thisUpdate, nextUpdate, ...rest] = fields.slice(first);
  if (!issuer || !thisUpdate) throw new RangeError('it ends too soon');
  if (!nextUpdate || (nextUpdate.tag !== TAG.utcTime && nextUpdate.tag !== TAG.generalizedTime))
    throw new RangeError('it does not say when the next one comes (nextUpdate), so it could be of any age');
  const list = rest.find(({ tag }) => tag === TAG.sequence)?.value ?? Buffer.alloc(0);
  const entries = await countEntries(list);
  const extensions = extensionsIn(rest.find(({ tag }) => tag === 0xa0));
  if (extensions.has(EXTENSION.delta)) throw new RangeError('it is a delta CRL; name the complete one');
  for (const [oid, { critical }] of extensions)
    if (critical && oid !== EXTENSION.point && oid !== EXTENSION.aki && oid !== EXTENSION.crlNumber)
      throw new RangeError(`it has a critical extension that is not known here: ${oid}`);
  const point = extensions.get(EXTENSION.point)?.value ?? null;
  const extent = extentOf(point);
  return {
    issuer: issuer.raw,
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: timeOf(nextUpdate),
    entries,
    scope: point?.toString('base64') ?? '',
    covers: (certificate) => extent.covers(certificate),
    find: (serial) => find(list, serial),
    isOf: keptAnswers((certificate) => tryOr(() => isOf(signed, issuer.raw, certificate), false)),
  };
}

function isOf(signed: Signed, name: Buffer, certificate: X509Certificate): boolean {
  const parts = certificateParts(certificate);
  return parts.subject.equals(name) && maySignCrls(certificate, parts) && isSignedBy(signed, certificate.publicKey);
}

/** A signature over 10 MB takes 5 ms, and every connection asks. */
function keptAnswers(ask: (certificate: X509Certificate) => boolean): (certificate: X509Certificate) => boolean {
  // A CA has a handful of certificates; a server may show any number of false ones.
  const answers = new Lru<string, boolean>(32);
  return (certificate) => {
    const answer = answers.get(certificate.fingerprint256) ?? ask(certificate);
    answers.set(certificate.fingerprint256, answer);
    return answer;
  };
}

/**
 * What the issuing distribution point (RFC 5280 §5.2.5) limits the CRL to.
 * @throws RangeError for one that lists certificates of other issuers
 */
function extentOf(point: Buffer | null): Pick<Crl, 'covers'> {
  if (!point) return { covers: () => true };
  const fields = children(point);
  const says = (tag: number): boolean => fields.some((field) => field.tag === tag && field.value[0] !== 0);
  if (says(0x84)) throw new RangeError('it is an indirect CRL, which lists certificates of other issuers');
  const named = fields.find(({ tag }) => tag === 0xa0);
  const names = distributionPointNames(named);
  const someReasons = fields.some(({ tag }) => tag === 0x83);
  return {
    covers(certificate) {
      const isCa = basicConstraints(certificate)?.ca === true;
      if (someReasons || says(0x85) || (says(0x81) && isCa) || (says(0x82) && !isCa)) return false;
      // A part of a CRL covers the certificates that name the part.
      return named === undefined || crlNames(certificate).some((name) => names.some((each) => each.equals(name)));
    },
  };
}

/** @throws RangeError for a damaged entry */
async function countEntries(list: Buffer): Promise<number> {
  const slice = new TimeSlice();
  let count = 0;
  for (let rest = list; rest.length > 0; count++) {
    const entry = firstElement(rest);
    if (!entry?.whole || entry.tag !== TAG.sequence || entry.value[0] !== TAG.integer)
      throw new RangeError(`entry ${count + 1} is damaged`);
    rest = rest.subarray(entry.raw.length);
    if (slice.over) await slice.next();
  }
  return count;
}

function find(list: Buffer, serial: Buffer): Revocation | null {
  for (let at = list.indexOf(serial); at !== -1; at = list.indexOf(serial, at + 1)) {
    const entry = entryAround(list, at);
    if (entry) return entry;
  }
  return null;
}

/** The bytes of a serial may occur inside another entry too: here they must begin one. */
function entryAround(list: Buffer, at: number): Revocation | null {
  for (const header of [2, 3, 4]) {
    const entry = at >= header ? firstElement(list.subarray(at - header)) : null;
    if (entry?.tag !== TAG.sequence || !entry.whole || entry.raw.length - entry.value.length !== header) continue;
    try {
      const [, date, extensions] = elements(entry.value);
      if (!date) continue;
      return { at: timeOf(date), reason: reasonOf(extensions) };
    } catch {
      // not an entry
    }
  }
  return null;
}

function reasonOf(extensions: Element | undefined): string {
  for (const each of extensions ? children(extensions.raw) : []) {
    const parts = children(each.raw);
    const value = parts.at(-1)?.value;
    if (parts[0] && value && oidText(parts[0].value) === EXTENSION.reason)
      return reasonName(elements(value)[0]?.value[0]);
  }
  return reasonName(0);
}
