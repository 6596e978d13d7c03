/** The certificate that stands in for a server towards the client. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { mintDer } from './mint.ts';
import type { Signer } from './signer.ts';

const HOUR_MS = 3_600_000;
/**
 * Apple's systems refuse server certificates of more than 825 days, those of CAs that the user added too
 * (support.apple.com/HT210176). 90 days are far below it and far above the time that a daemon runs between renewals; the
 * leaf lives in memory only, so a short life costs nothing.
 */
const LIFE_MS = 90 * 24 * HOUR_MS;
/** A client's clock may be behind ours. */
const SKEW_MS = HOUR_MS;
/** RFC 5280 appendix A.1, ub-common-name. */
const LONGEST_COMMON_NAME = 64;

export interface LeafBytes {
  readonly der: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * A leaf for one host, signed by the local CA. Its validity never leaves the CA's.
 * @param host canonical name, or IP address without brackets
 */
export function mintLeafDer(ca: Signer, host: string, publicKey: KeyObject, now = Date.now()): LeafBytes {
  const { validFromDate, validToDate } = ca.certificate;
  const notBefore = new Date(Math.max(now - SKEW_MS, validFromDate.getTime()));
  const notAfter = new Date(Math.min(now + LIFE_MS, validToDate.getTime()));
  const der = mintDer({
    ...(mayNameSubject(ca, host) ? { subject: { commonName: host } } : {}),
    issuer: ca.issuer,
    publicKey,
    notBefore,
    notAfter,
    hosts: [host],
    purposes: ['serverAuth'],
  });
  return { der, notBefore, notAfter };
}

/**
 * Names are verified by subjectAltName alone (RFC 9525 §2); the common name is for people who look at it. OpenSSL (3.0) holds
 * an address there to the constraints of host names.
 */
function mayNameSubject({ constrains }: Signer, host: string): boolean {
  if (constrains === 'subjects' || (constrains === 'hosts' && isIP(host))) return false;
  return host.length <= LONGEST_COMMON_NAME;
}

/** The same as a certificate that can be read. */
export function mintLeaf(ca: Signer, host: string, publicKey: KeyObject, now = Date.now()): X509Certificate {
  return new X509Certificate(mintLeafDer(ca, host, publicKey, now).der);
}
