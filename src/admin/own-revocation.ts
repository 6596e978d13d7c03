/**
 * What the CRLs that our own certificates name say of them: for the API, and for the command line without it. A warning and never
 * more, since the server that gets the certificate decides; and what can't be found out is said to be unknown.
 */
import type { X509Certificate } from 'node:crypto';
import { Type } from 'typebox';
import { diagnosis, shellWord } from '../certs/identity/diagnosis.ts';
import { type ClientIdentity, DiagnosisSchema } from '../certs/identity/identity.ts';
import { type ConnectPlain, download } from '../certs/revocation/download.ts';
import { crlUrls, serialNumber } from '../core/extensions.ts';
import { certificateFacts, issuedBy, printable } from '../core/facts.ts';
import type { Crl } from '../core/revocation/crl.ts';
import { closed, named, nullable, type Plain } from '../core/schema.ts';
import { partsOf } from '../inspect/verify/path.ts';
import { askCrls, revokedText } from '../inspect/verify/revocation.ts';

export const OwnRevocationSchema = Type.Object(
  {
    status: Type.Enum(['good', 'revoked', 'unknown']),
    url: Type.String({ description: 'Of the CRL that says so, as the certificate names it.' }),
    /** CERTIFICATE_REVOKED or REVOCATION_UNKNOWN; null where it is good. */
    problem: nullable(named(DiagnosisSchema)),
  },
  closed,
);
export type OwnRevocation = Plain<typeof OwnRevocationSchema>;

export interface OwnCertificate extends Pick<ClientIdentity, 'leaf' | 'issuer'> {
  readonly file: string | null;
  /** What to do where it is revoked. */
  readonly next: string;
}

/** A person waits for it. */
const TIMEOUT_MS = 10_000;
const AT_ONCE = 4;
/** A CRL may have 20 MiB, and stays in memory until all are looked at. */
const MOST_CRLS = 32;
/** Of one certificate: they are alternatives, or parts by reason. */
const MOST_NAMED = 4;

/**
 * @param anchors to verify CRLs with, where the files don't hold the issuer
 * @returns what tells about one certificate, and downloads each CRL once: null where the certificate names none by http. Never rejects.
 */
export function ownRevocations(connect: ConnectPlain, anchors: () => Promise<readonly X509Certificate[]>) {
  const crls = downloads(connect);

  return async ({ leaf, issuer, file, next }: OwnCertificate): Promise<OwnRevocation | null> => {
    const urls = urlsOf(leaf);
    if (urls.length === 0) return null;
    const known = issuer ?? (await anchors()).find((anchor) => issuedBy(leaf, anchor)) ?? null;
    const { subject } = certificateFacts(leaf);
    let last: OwnRevocation | null = null;
    for (const url of urls) {
      const shown = printable(url, 200);
      const { status, message } = await crls(url).then(
        (read) => (known ? verified(leaf, known, read, shown) : unverified(leaf, read, shown)),
        (error: Error) => ({ status: 'unknown', message: error.message }) as const,
      );
      if (status === 'good') return { status, url: shown, problem: null };
      if (status === 'revoked')
        return { status, url: shown, problem: diagnosis('CERTIFICATE_REVOKED', file, `${subject}: ${message}`, next) };
      const why = `whether ${subject} is revoked is not known: ${message}`;
      const look = `look at the CRL: curl -sS ${shellWord(shown)} | openssl crl -inform DER -noout -text`;
      last ??= { status, url: shown, problem: diagnosis('REVOCATION_UNKNOWN', file, why, look) };
    }
    return last;
  };
}

type Said = { readonly status: OwnRevocation['status']; readonly message: string };

function verified(leaf: X509Certificate, issuer: X509Certificate, read: readonly Crl[], source: string): Said {
  const crls = (name: Buffer) => read.filter((crl) => crl.issuer.equals(name)).map((crl) => ({ crl, source }));
  const { status, message } = askCrls(leaf, issuer, { crls }, new Date());
  return { status, message: message ?? '' };
}

/** Anybody may have made it: it can warn, and can't clear. */
function unverified(leaf: X509Certificate, read: readonly Crl[], source: string): Said {
  const { issuer } = certificateFacts(leaf);
  const doubt = `its signature is not verified, since the certificate of ${issuer} is neither in the file nor trusted`;
  const name = partsOf(leaf)?.issuer;
  for (const crl of read) {
    const revocation = name?.equals(crl.issuer) ? crl.find(serialNumber(leaf)) : null;
    if (revocation && revocation.reason !== 'removeFromCRL')
      return { status: 'revoked', message: `${revokedText(revocation, source)}; ${doubt}` };
  }
  return { status: 'unknown', message: `${source} does not list it, and ${doubt}` };
}

function urlsOf(leaf: X509Certificate): string[] {
  const parts = partsOf(leaf);
  try {
    return parts ? [...new Set(crlUrls(parts))].filter((url) => URL.canParse(url)).slice(0, MOST_NAMED) : [];
  } catch {
    return []; // damaged: other diagnoses say so
  }
}

/** @returns what rejects with CrlUnusable, or with why it was not downloaded */
function downloads(connect: ConnectPlain): (url: string) => Promise<readonly Crl[]> {
  const started = new Map<string, Promise<readonly Crl[]>>();
  const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
  return (url) => {
    const known = started.get(url);
    if (known) return known;
    if (started.size === MOST_CRLS) return Promise.reject(new Error(`${MOST_CRLS} other CRLs were downloaded already`));
    const lane = started.size % AT_ONCE;
    const crls = Promise.resolve(lanes[lane]).then(
      async () => (await download(url, connect, AbortSignal.timeout(TIMEOUT_MS))).crls,
    );
    lanes[lane] = crls.catch(() => {});
    started.set(url, crls);
    return crls;
  };
}
