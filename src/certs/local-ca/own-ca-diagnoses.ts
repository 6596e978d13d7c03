/** What keeps a certificate from signing leaves that clients accept: one table, which `docs/trust.md` is held to by a test. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { basicConstraints, certificateParts, mayUseKey } from '../../core/extensions.ts';
import { certificateFacts, isSelfSigned } from '../../core/facts.ts';
import { dateProblems } from '../identity/chain.ts';
import { shellWord } from '../identity/diagnosis.ts';
import type { Diagnosis } from '../identity/identity.ts';

export const CA_DIAGNOSES = {
  NOT_A_CA: 'error',
  MAY_NOT_SIGN: 'error',
  PATH_LENGTH_EXCEEDED: 'error',
  NOT_FOR_SERVERS: 'error',
  KEY_UNSUPPORTED: 'error',
  CERTIFICATE_EXPIRED: 'error',
  CERTIFICATE_NOT_YET_VALID: 'error',
  ROOT_MISSING: 'warning',
} as const satisfies Record<string, Diagnosis['severity']>;

const ASK = 'ask your CA for a subordinate CA certificate with CA:TRUE and keyCertSign';

/**
 * @param chain that which signs first, up to the root where it is known
 * @param file for messages
 */
export function diagnoseCa(
  chain: readonly X509Certificate[],
  { key }: { readonly key: KeyObject },
  file: string,
): Diagnosis[] {
  const say = sayOf(file);
  const type = key.asymmetricKeyType;
  const found = chain.flatMap((certificate, depth): Diagnosis[] => {
    const { subject, extended_key_usage: purposes } = certificateFacts(certificate);
    const parts = certificateParts(certificate);
    const constraints = basicConstraints(parts);
    const limit = constraints?.pathLength ?? null;
    const below = chain.slice(0, depth).filter((each) => each.subject !== each.issuer).length;
    const forServers = purposes?.some((name) => name === 'serverAuth' || name === 'anyExtendedKeyUsage') ?? true;
    const isRoot = isSelfSigned(certificate);
    return [
      ...(constraints?.ca === true
        ? []
        : [say('NOT_A_CA', `${subject} is not a CA: basicConstraints has no CA:TRUE`, ASK)]),
      ...(mayUseKey(parts, 'keyCertSign')
        ? []
        : [say('MAY_NOT_SIGN', `the key usage of ${subject} has no keyCertSign`, ASK)]),
      ...(limit === null || below <= limit
        ? []
        : [
            say(
              'PATH_LENGTH_EXCEEDED',
              `${subject} allows ${limit} CAs below itself (pathlen), and there are ${below}`,
              'ask your CA for one that is signed by a CA that may have CAs below itself',
            ),
          ]),
      // Of a root, clients ignore it.
      ...(forServers || (isRoot && depth > 0)
        ? []
        : [
            say(
              'NOT_FOR_SERVERS',
              `${subject} may not sign for servers: its extended key usage is ${purposes?.join(', ')}, without serverAuth`,
              'ask your CA for one without extended key usage, or with serverAuth',
            ),
          ]),
      ...dateProblems(certificate, file).map((problem): Diagnosis => ({ ...problem, severity: 'error' })),
    ];
  });
  if (type === 'ec' || type === 'rsa') return found;
  const message = `its key is of type ${type}; the local CA signs with EC or RSA`;
  return [say('KEY_UNSUPPORTED', message, 'ask your CA for one with an EC or RSA key'), ...found];
}

export function rootMissing(chain: readonly X509Certificate[], file: string): Diagnosis {
  const { subject, issuer } = certificateFacts(chain.at(-1) as X509Certificate);
  return sayOf(file)(
    'ROOT_MISSING',
    `neither the file nor the system has the certificate of ${issuer}, so clients get ${subject} to trust, and some accept a root only`,
    `append the root: cat root.pem >> ${shellWord(file)}`,
  );
}

const sayOf =
  (file: string) =>
  (code: keyof typeof CA_DIAGNOSES, message: string, hint: string): Diagnosis => ({
    code,
    severity: CA_DIAGNOSES[code],
    message,
    hint,
    file,
  });
