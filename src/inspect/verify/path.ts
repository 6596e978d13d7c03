/**
 * From a leaf to a trust anchor (RFC 5280 §6.1), the way OpenSSL goes: anchors first, then what the server sent. There
 * can be several paths, as with a root that another root has cross-signed, so the caller chooses the best.
 */
import type { X509Certificate } from 'node:crypto';
import {
  authorityKeyIdentifier,
  type CertificateParts,
  certificateParts,
  subjectKeyIdentifier,
} from '../../core/extensions.ts';

export interface Path {
  /** Leaf first; the anchor last where there is one. */
  readonly certificates: readonly X509Certificate[];
  readonly anchored: boolean;
  /** It has no end within the length that is followed. */
  readonly tooLong: boolean;
}

/** Real chains have two to five; OpenSSL follows a hundred. Each step costs a signature check. */
const LONGEST_PATH = 12;
/** A mesh of cross-signed certificates can be made to have millions of paths. */
const MOST_PATHS = 12;

/** At most MOST_PATHS paths from the first certificate of the chain, those by way of anchors first. */
export function pathsFrom(chain: readonly X509Certificate[], anchors: readonly X509Certificate[]): Path[] {
  const [leaf] = chain;
  if (!leaf) return [];
  const trusted = indexOf(anchors);
  const found: Path[] = [];
  const walk = (path: readonly X509Certificate[], top: X509Certificate): void => {
    if (found.length === MOST_PATHS) return;
    if (trusted.fingerprints.has(top.fingerprint256)) {
      found.push({ certificates: path, anchored: true, tooLong: false });
      return;
    }
    const issuers =
      path.length < LONGEST_PATH && !couldHaveIssued(top, top) ? issuersOf(top, path, chain, trusted) : [];
    if (issuers.length === 0) {
      found.push({ certificates: path, anchored: false, tooLong: path.length === LONGEST_PATH });
    }
    for (const issuer of issuers) walk([...path, issuer], issuer);
  };
  walk([leaf], leaf);
  return found;
}

function issuersOf(
  certificate: X509Certificate,
  below: readonly X509Certificate[],
  chain: readonly X509Certificate[],
  trusted: AnchorIndex,
): X509Certificate[] {
  const seen = new Set(below.map((each) => each.fingerprint256));
  const candidates = [...(trusted.bySubject.get(certificate.issuer) ?? []), ...chain];
  return candidates.filter((candidate) => {
    if (seen.has(candidate.fingerprint256) || !couldHaveIssued(candidate, certificate)) return false;
    seen.add(candidate.fingerprint256);
    return true;
  });
}

/**
 * By name and key identifier, not yet by signature. X509Certificate.checkIssued also refuses an issuer that may not sign, and the
 * reason would be lost.
 */
export function couldHaveIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  if (issuer.subject !== certificate.issuer) return false;
  const [above, below] = [partsOf(issuer), partsOf(certificate)];
  const [has, wants] = [above && subjectKeyIdentifier(above), below && authorityKeyIdentifier(below)];
  return !has || !wants || has.equals(wants);
}

/** A certificate never changes, and what is read of it goes with it. */
const parts = new WeakMap<X509Certificate, CertificateParts | null>();

/** Read once per certificate; null where its DER is damaged. */
export function partsOf(certificate: X509Certificate): CertificateParts | null {
  const known = parts.get(certificate);
  if (known !== undefined) return known;
  let read: CertificateParts | null = null;
  try {
    const whole = certificateParts(certificate);
    // Read when paths are made, where no error reports damage.
    subjectKeyIdentifier(whole);
    authorityKeyIdentifier(whole);
    read = whole;
  } catch {
    // damaged: the caller says INVALID_EXTENSION
  }
  parts.set(certificate, read);
  return read;
}

interface AnchorIndex {
  readonly fingerprints: ReadonlySet<string>;
  readonly bySubject: ReadonlyMap<string, readonly X509Certificate[]>;
}

/** One index per set of anchors; the set is immutable and shared by all connections of a policy. */
const indexes = new WeakMap<readonly X509Certificate[], AnchorIndex>();

function indexOf(anchors: readonly X509Certificate[]): AnchorIndex {
  const known = indexes.get(anchors);
  if (known) return known;
  const index = {
    fingerprints: new Set(anchors.map((anchor) => anchor.fingerprint256)),
    bySubject: Map.groupBy(anchors, (anchor) => anchor.subject),
  };
  indexes.set(anchors, index);
  return index;
}
