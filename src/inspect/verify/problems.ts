/**
 * Every code that can be said of a server's certificate or connection. Those of OpenSSL keep its names, also where Node
 * tells only UNSPECIFIED; `docs/problems.md` is held to this table by a test.
 */
import type { Problem } from '../../core/errors.ts';
import type { ProblemCode } from '../../core/problem-codes.ts';

export type { ProblemCode } from '../../core/problem-codes.ts';

interface ProblemFacts {
  readonly meaning: string;
  /** What to do first; a rule that lets it through comes after it, in the hint. */
  readonly next: string;
  /** No `allow` list lets it through. */
  readonly never?: true;
}

// biome-ignore format: a table reads best as a table
export const PROBLEM_CODES = {
  DEPTH_ZERO_SELF_SIGNED_CERT: { meaning: 'the server sent a self-signed certificate that is not trusted', next: 'if you expect this certificate, trust it: mtlsd probe URL --save-ca FILE && mtlsd trust add FILE --host HOST' },
  SELF_SIGNED_CERT_IN_CHAIN: { meaning: 'the chain ends in a root that is not trusted', next: 'if you expect this root, trust it: mtlsd probe URL --save-ca FILE && mtlsd trust add FILE --host HOST' },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { meaning: 'the issuer of a certificate is neither trusted nor sent', next: 'if you expect this CA, trust it: mtlsd probe URL --save-ca FILE && mtlsd trust add FILE --host HOST' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { meaning: 'the server sent only its own certificate, and the issuer is not trusted', next: 'get the certificate of its issuer from the server\'s operator, and trust it: mtlsd trust add FILE --host HOST' },
  CERT_HAS_EXPIRED: { meaning: 'a certificate in the chain has expired', next: 'its owner must renew it' },
  CERT_NOT_YET_VALID: { meaning: 'a certificate in the chain is not valid yet', next: 'check the clock of this machine; if it is right, ask the owner of the certificate' },
  ERROR_IN_CERT_NOT_BEFORE_FIELD: { meaning: 'the start of the validity can\'t be read', next: 'its issuer must issue it again' },
  ERROR_IN_CERT_NOT_AFTER_FIELD: { meaning: 'the end of the validity can\'t be read', next: 'its issuer must issue it again' },
  HOSTNAME_MISMATCH: { meaning: 'the certificate is for other names than the requested one', next: 'use one of its names; if this server is the right one: mtlsd verification set --host HOST --server-name NAME' },
  CERT_SIGNATURE_FAILURE: { meaning: 'a signature in the chain does not verify', next: 'do not trust it: the certificate was changed or forged; compare fingerprints with the server\'s operator' },
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: { meaning: 'the public key of an issuer can\'t be read', next: 'its issuer must issue it again' },
  INVALID_CA: { meaning: 'a certificate in the chain issued another, but is not a CA', next: 'ask the server\'s operator: the issuer of its certificate is not a CA' },
  KEYUSAGE_NO_CERTSIGN: { meaning: 'a CA in the chain is not allowed to sign certificates', next: 'the CA needs the key usage keyCertSign; ask the server\'s operator' },
  PATH_LENGTH_EXCEEDED: { meaning: 'a CA has more CAs below it than it allows', next: 'ask the server\'s operator: the CA exceeds its path length' },
  INVALID_PURPOSE: { meaning: 'the certificate is not for TLS servers', next: 'the server needs a certificate with the extended key usage serverAuth' },
  CERT_CHAIN_TOO_LONG: { meaning: 'the chain is too long', next: 'ask the server\'s operator which certificates it sends' },
  CERT_REVOKED: { meaning: 'the issuer of a certificate has revoked it', next: 'send nothing to this server; its owner must replace the certificate' },
  UNABLE_TO_GET_CRL: { meaning: 'revocation is required, and neither a CRL nor an OCSP staple covers a certificate', next: 'add the CRL of its issuer to trust.crl' },
  CRL_HAS_EXPIRED: { meaning: 'revocation is required, and the CRL has expired', next: 'get a current CRL from the issuer; a failed download is in the log as crl.failed' },
  CRL_NOT_YET_VALID: { meaning: 'revocation is required, and the CRL is not valid yet', next: 'check the clock of this machine' },
  CRL_SIGNATURE_FAILURE: { meaning: 'revocation is required, and the CRL is not signed by the issuer of the certificate', next: 'get the CRL from the issuer again' },
  OCSP_VERIFY_NEEDED: { meaning: 'the certificate requires an OCSP staple, and the server sent no valid one', next: 'the server must staple an OCSP response; ask its operator' },
  OCSP_VERIFY_FAILED: { meaning: 'revocation is required, and the OCSP staple is not valid', next: 'the server must staple a current OCSP response of its CA; ask its operator' },
  OCSP_CERT_UNKNOWN: { meaning: 'revocation is required, and the OCSP responder does not know the certificate', next: 'ask the server\'s operator who issued the certificate' },
  EE_KEY_TOO_SMALL: { meaning: 'the key of the server\'s certificate is too weak', next: 'the server needs a certificate with an RSA key of 2048 bits or more, or an EC key' },
  CA_KEY_TOO_SMALL: { meaning: 'the key of a CA in the chain is too weak', next: 'the CA must be replaced by one with a stronger key' },
  CA_MD_TOO_WEAK: { meaning: 'a certificate in the chain is signed with a broken digest', next: 'its issuer must sign it again with SHA-256 or better' },
  EC_KEY_EXPLICIT_PARAMS: { meaning: 'an EC key has explicit parameters instead of a named curve', next: 'its owner must replace it with a key on a named curve' },
  UNHANDLED_CRITICAL_EXTENSION: { meaning: 'a certificate has a critical extension that is not supported', next: 'ask its issuer what the extension requires' },
  INVALID_EXTENSION: { meaning: 'the extensions of a certificate are damaged', next: 'its issuer must issue it again' },
  PERMITTED_VIOLATION: { meaning: 'a CA in the chain is not allowed to issue for that name', next: 'ask the server\'s operator: the CA\'s name constraints do not permit the name' },
  EXCLUDED_VIOLATION: { meaning: 'a CA in the chain is forbidden to issue for that name', next: 'ask the server\'s operator: the CA\'s name constraints exclude the name' },
  UNSPECIFIED: { meaning: 'OpenSSL refuses the chain, and Node does not say why', next: 'see it with: openssl s_client -connect HOST:PORT' },
  PIN_MISMATCH: { meaning: 'no key in the verified chain is one of the pins', next: 'if the server has a new key, set its pin: mtlsd verification set --host HOST --pin PIN' },
  TLS_VERSION_TOO_LOW: { meaning: 'the connection uses an older TLS version than the rule requires', next: 'the server must offer a newer version; to accept an older one: mtlsd verification set --host HOST --min-version VERSION' },
  CONSTRAINTS_UNCHECKED: { meaning: 'the chain has name constraints, which can\'t be checked if another problem is allowed', next: 'fix the other problem: OpenSSL checks name constraints only on a chain without problems', never: true },
  LOCAL_CA_LEAF: { meaning: 'the server sent a certificate of this daemon\'s local CA', next: 'check that the address does not lead to an mtlsd; if not, the key of the local CA was stolen: remove ca/ and start again', never: true },
} as const satisfies Record<ProblemCode, ProblemFacts>;

/** Whether an `allow` list may name it. Codes of OpenSSL that this table lacks may be named. */
export function isAllowable(code: string): boolean {
  return !('never' in factsOf(code));
}

export function problemMeaning(code: string): string {
  return factsOf(code).meaning;
}

export interface HintContext {
  /** Of all problems that still refuse the server: to allow one of several would change nothing. Default: the code itself. */
  readonly codes?: readonly string[];
  /** A name that the certificate has. */
  readonly name?: string | undefined;
  /** The TLS version of the connection. */
  readonly version?: string;
}

/** The next step, and the command that lets the server through all the same. */
export function problemHint(code: string, host: string, port: number, context: HintContext = {}): string {
  const { codes = [code], name = 'NAME', version = 'VERSION' } = context;
  const bare = host.includes(':') ? `[${host}]` : host;
  const place = port === 443 ? bare : `${bare}:${port}`;
  const file = `${place.replace(/[^a-z0-9.-]+/gi, '-').replace(/^-|-$/g, '')}-ca.pem`;
  const next = factsOf(code)
    .next.replace('HOST:PORT', `${bare}:${port}`)
    .replaceAll(/\bURL\b/g, `https://${place}/`)
    .replaceAll('--save-ca FILE && mtlsd trust add FILE', `--save-ca ${file} && mtlsd trust add ${file}`)
    .replaceAll(/\bHOST\b/g, place)
    .replace(/\bNAME\b/, name)
    .replace(/\bVERSION\b/, version);
  if (codes.length === 0 || !codes.every(isAllowable)) return next;
  const it = codes.length === 1 ? 'it' : `all ${codes.length} problems`;
  return `${next}; to let ${it} through: mtlsd verification set --host ${place} --allow ${codes.join(' ')}`;
}

function factsOf(code: string): ProblemFacts {
  return Object.hasOwn(PROBLEM_CODES, code)
    ? PROBLEM_CODES[code as ProblemCode]
    : { meaning: `OpenSSL refuses the chain: ${code}`, next: PROBLEM_CODES.UNSPECIFIED.next };
}

/** A problem before the rule has been asked and the hint written. */
export type Finding = Omit<Problem, 'hint' | 'allowed' | 'code'> & { readonly code: string };
