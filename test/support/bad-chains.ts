/**
 * Every kind of bad server certificate that OpenSSL and we tell apart, each alone and many in pairs, with what is found in
 * it. Verdict and daemon are run over the same table.
 */
import 'reflect-metadata';
import { Extension } from '@peculiar/x509';
import {
  ago,
  ahead,
  type Authority,
  type CertificateOptions,
  createPki,
  DAY,
  type Issued,
  KEY_USAGE,
  type Pki,
} from './pki.ts';

export interface Authorities {
  readonly pki: Pki;
  /** Trusted unless the row says otherwise. */
  readonly root: Authority;
  /** Not trusted. */
  readonly other: Authority;
  /** Below `root`, pathlen 0. */
  readonly intermediate: Authority;
}

export interface BadChain {
  readonly name: string;
  readonly make: (authorities: Authorities) => Promise<Shown>;
  /** `CODE@depth`, for a server asked as `localhost`. */
  readonly problems: readonly string[];
  /** What Node's authorizationError says in the handshake: one of them, or UNSPECIFIED; null for none. */
  readonly openssl: string | null;
  /** OpenSSL itself gives up on TLS 1.2, at one side or the other. */
  readonly onlyTls13?: boolean;
  /** Node's own server stumbles over its chain after the handshake (24.21), and answers no request. */
  readonly unserved?: boolean;
}

export interface Shown {
  readonly leaf: Issued;
  /** PEM that the server sends, leaf first. */
  readonly sent: string;
  /** Anchors; default the root. */
  readonly trust?: readonly Issued[];
  /** PEM of the CRL that the rule names. */
  readonly crl?: string;
  /** What the server staples. */
  readonly staple?: Buffer;
}

export async function createAuthorities(): Promise<Authorities> {
  const pki = await createPki();
  const root = await pki.root({ cn: 'root' });
  const other = await pki.root({ cn: 'other root' });
  const intermediate = await root.intermediate({ cn: 'intermediate', pathLength: 0 });
  return { pki, root, other, intermediate };
}

export const expired = { notBefore: ago(9 * DAY), notAfter: ago(3 * DAY) };
const future = { notBefore: ahead(2 * DAY), notAfter: ahead(9 * DAY) };

const whole = (leaf: Issued) => ({ leaf, sent: leaf.chainPem });
const alone = (leaf: Issued) => ({ leaf, sent: leaf.certPem });
const under = async (authority: Authority | Promise<Authority>, options: CertificateOptions = {}) =>
  whole(await (await authority).issue(options));

/** Of the two UTCTimes of the validity; ASN.1 does not mind. */
const inMonth99 = (which: 'notBefore' | 'notAfter') => (content: Buffer) => {
  const time = Buffer.from([0x17, 13]);
  const first = content.indexOf(time);
  content.write('99', (which === 'notBefore' ? first : content.indexOf(time, first + 1)) + 4, 'latin1');
};

const ofUnknownKind = (content: Buffer): void => {
  const ecPublicKey = Buffer.from('06072a8648ce3d0201', 'hex');
  content.writeUInt8(0x7f, content.indexOf(ecPublicKey) + ecPublicKey.length - 1);
};

/** ProxyCertInfo that passes on all rights. */
const PROXY_CERTIFICATE = new Extension(
  '1.3.6.1.5.5.7.1.14',
  false,
  Buffer.from('300c300a06082b06010505071501', 'hex'),
);

export const BAD_CHAINS: readonly BadChain[] = [
  { name: 'nothing wrong', make: ({ intermediate }) => under(intermediate), problems: [], openssl: null },
  {
    name: 'nothing wrong, root sent',
    make: async ({ root, intermediate }) => {
      const leaf = await intermediate.issue();
      return { leaf, sent: leaf.chainPem + root.certPem };
    },
    problems: [],
    openssl: null,
  },
  {
    name: 'nothing wrong, chain out of order with an unrelated certificate',
    make: async ({ other, intermediate }) => {
      const leaf = await intermediate.issue();
      return { leaf, sent: leaf.certPem + other.certPem + intermediate.certPem };
    },
    problems: [],
    openssl: null,
  },
  {
    name: 'trusted self-signed leaf',
    make: async ({ pki }) => {
      const leaf = await pki.selfSigned();
      return { ...alone(leaf), trust: [leaf] };
    },
    problems: [],
    openssl: null,
  },
  {
    name: 'trusted intermediate, no root',
    make: async ({ intermediate }) => ({
      ...alone(await intermediate.issue()),
      trust: [intermediate],
    }),
    problems: [],
    openssl: null,
  },
  {
    name: 'trusted certificate that carries a CA to its new key',
    make: async ({ pki }) => {
      const next = await (await pki.root({ cn: 'rolling' })).intermediate({ cn: 'rolling' });
      return { ...(await under(next)), trust: [next] };
    },
    problems: [],
    openssl: null,
  },
  {
    name: 'expired leaf',
    make: ({ intermediate }) => under(intermediate, expired),
    problems: ['CERT_HAS_EXPIRED@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'leaf not yet valid',
    make: ({ intermediate }) => under(intermediate, future),
    problems: ['CERT_NOT_YET_VALID@0'],
    openssl: 'CERT_NOT_YET_VALID',
  },
  {
    name: 'a beginning that is no time',
    make: ({ intermediate }) => under(intermediate, { alter: inMonth99('notBefore') }),
    problems: ['ERROR_IN_CERT_NOT_BEFORE_FIELD@0'],
    openssl: 'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  },
  {
    name: 'an end that is no time',
    make: ({ intermediate }) => under(intermediate, { alter: inMonth99('notAfter') }),
    problems: ['ERROR_IN_CERT_NOT_AFTER_FIELD@0'],
    openssl: 'ERROR_IN_CERT_NOT_AFTER_FIELD',
  },
  {
    name: 'expired intermediate',
    make: ({ root }) => under(root.intermediate(expired)),
    problems: ['CERT_HAS_EXPIRED@1'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'intermediate not yet valid',
    make: ({ root }) => under(root.intermediate(future)),
    problems: ['CERT_NOT_YET_VALID@1'],
    openssl: 'CERT_NOT_YET_VALID',
  },
  {
    name: 'expired root',
    make: async ({ pki }) => {
      const old = await pki.root({ cn: 'old', ...expired });
      return { ...(await under(old)), trust: [old] };
    },
    problems: ['CERT_HAS_EXPIRED@1'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'self-signed leaf',
    make: async ({ pki }) => alone(await pki.selfSigned()),
    problems: ['DEPTH_ZERO_SELF_SIGNED_CERT@0'],
    openssl: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  },
  {
    name: 'untrusted root sent',
    make: async ({ other }) => {
      const leaf = await other.issue();
      return { leaf, sent: leaf.certPem + other.certPem };
    },
    problems: ['SELF_SIGNED_CERT_IN_CHAIN@1'],
    openssl: 'SELF_SIGNED_CERT_IN_CHAIN',
  },
  {
    name: 'unknown issuer, leaf alone',
    make: async ({ other }) => alone(await other.issue()),
    problems: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE@0'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'unknown issuer above an intermediate',
    make: ({ other }) => under(other.intermediate()),
    problems: ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1'],
    openssl: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  },
  {
    name: 'missing intermediate',
    make: async ({ intermediate }) => alone(await intermediate.issue()),
    problems: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE@0'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'missing intermediate, partial trust',
    make: async ({ other, intermediate }) => ({
      ...alone(await intermediate.issue()),
      trust: [await other.intermediate()],
    }),
    problems: ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY@0'],
    openssl: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  },
  {
    name: 'an issuer with the name of the root and another key',
    make: async ({ other }) => under(await other.intermediate({ cn: 'root' })),
    problems: ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1'],
    openssl: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  },
  {
    name: 'wrong authority key identifier',
    make: ({ intermediate }) => under(intermediate, { wrongAki: true }),
    problems: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE@0'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'broken signature',
    make: ({ intermediate }) => under(intermediate, { brokenSignature: true }),
    problems: ['CERT_SIGNATURE_FAILURE@0'],
    openssl: 'CERT_SIGNATURE_FAILURE',
  },
  {
    name: 'broken signature of an intermediate',
    make: ({ root }) => under(root.intermediate({ brokenSignature: true })),
    problems: ['CERT_SIGNATURE_FAILURE@1'],
    openssl: 'CERT_SIGNATURE_FAILURE',
  },
  {
    name: 'forged by name, without key identifiers',
    make: async ({ pki }) =>
      under(await (await pki.root({ cn: 'root', noKeyIdentifiers: true })).intermediate({ noKeyIdentifiers: true })),
    problems: ['CERT_SIGNATURE_FAILURE@1'],
    openssl: 'CERT_SIGNATURE_FAILURE',
  },
  {
    name: 'issued by a key of a kind that nobody knows',
    make: ({ root }) => under(root.intermediate({ alter: ofUnknownKind })),
    problems: ['UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY@1', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE@null'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    onlyTls13: true,
    unserved: true,
  },
  {
    name: 'for clients only',
    make: ({ intermediate }) => under(intermediate, { eku: ['clientAuth'] }),
    problems: ['INVALID_PURPOSE@0'],
    openssl: 'INVALID_PURPOSE',
  },
  {
    name: 'for any purpose, which OpenSSL does not take for a server',
    make: ({ intermediate }) => under(intermediate, { eku: ['any'] }),
    problems: ['INVALID_PURPOSE@0'],
    openssl: 'INVALID_PURPOSE',
  },
  {
    name: 'a key for signing CRLs',
    make: ({ intermediate }) => under(intermediate, { keyUsage: KEY_USAGE.cRLSign }),
    problems: ['INVALID_PURPOSE@0'],
    openssl: 'INVALID_PURPOSE',
    onlyTls13: true,
  },
  {
    name: 'issued by an intermediate for clients',
    make: ({ root }) => under(root.intermediate({ eku: ['clientAuth'] })),
    problems: ['INVALID_PURPOSE@1'],
    openssl: 'INVALID_PURPOSE',
  },
  {
    name: 'issued by no CA',
    make: ({ root }) => under(root.intermediate({ ca: false, keyUsage: KEY_USAGE.keyCertSign })),
    problems: ['INVALID_CA@1', 'INVALID_PURPOSE@1'],
    openssl: 'INVALID_PURPOSE',
  },
  {
    name: 'issued by a CA that does not say so',
    make: ({ root }) => under(root.intermediate({ noBasicConstraints: true })),
    problems: ['INVALID_CA@1'],
    openssl: 'INVALID_CA',
  },
  {
    name: 'issued by a CA that may not sign',
    make: ({ root }) => under(root.intermediate({ keyUsage: KEY_USAGE.digitalSignature })),
    problems: ['KEYUSAGE_NO_CERTSIGN@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'path too long',
    make: async ({ intermediate }) => under(await intermediate.intermediate({ cn: 'one too many' })),
    problems: ['PATH_LENGTH_EXCEEDED@2'],
    openssl: 'PATH_LENGTH_EXCEEDED',
  },
  {
    name: 'RSA 1024',
    make: ({ intermediate }) => under(intermediate, { key: 'rsa1024' }),
    problems: ['EE_KEY_TOO_SMALL@0'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'a CA of RSA 1024',
    make: ({ root }) => under(root.intermediate({ key: 'rsa1024' })),
    problems: ['CA_KEY_TOO_SMALL@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'a CA on a curve in numbers',
    make: ({ root }) => under(root.intermediate({ explicitCurve: true })),
    problems: ['EC_KEY_EXPLICIT_PARAMS@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'SHA-1',
    make: ({ intermediate }) => under(intermediate, { digest: 'SHA-1' }),
    problems: ['CA_MD_TOO_WEAK@0'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'an intermediate signed with SHA-1',
    make: ({ root }) => under(root.intermediate({ digest: 'SHA-1' })),
    problems: ['CA_MD_TOO_WEAK@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'a root signed with SHA-1, which proves nothing and harms nothing',
    make: async ({ pki }) => {
      const old = await pki.root({ cn: 'sha1', digest: 'SHA-1' });
      return { ...(await under(old)), trust: [old] };
    },
    problems: [],
    openssl: null,
  },
  {
    name: 'unknown critical extension',
    make: ({ intermediate }) => under(intermediate, { unknownCritical: '1.3.6.1.4.1.99999.1' }),
    problems: ['UNHANDLED_CRITICAL_EXTENSION@0'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'issued by a CA that says it twice',
    make: ({ root }) => under(root.intermediate({ doubledBasicConstraints: true })),
    problems: ['INVALID_EXTENSION@1', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE@null'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'a proxy certificate (RFC 3820), which only OpenSSL looks for',
    make: ({ intermediate }) => under(intermediate, { sans: [], extensions: [PROXY_CERTIFICATE] }),
    problems: ['UNSPECIFIED@null'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'name not permitted',
    make: ({ root }) => under(root.intermediate({ permittedDns: ['permitted.example'] })),
    problems: ['PERMITTED_VIOLATION@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'name excluded',
    make: ({ root }) => under(root.intermediate({ excludedDns: ['localhost'] })),
    problems: ['EXCLUDED_VIOLATION@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'address not permitted',
    make: ({ root }) => under(root.intermediate({ permittedIps: ['192.0.2.7'] }), { sans: ['localhost', '192.0.2.8'] }),
    problems: ['PERMITTED_VIOLATION@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'constraints that are kept',
    make: ({ root }) =>
      under(root.intermediate({ permittedDns: ['localhost'], permittedIps: ['192.0.2.7'] }), {
        sans: ['localhost', '192.0.2.7'],
      }),
    problems: [],
    openssl: null,
  },
  {
    name: 'wrong name',
    make: ({ intermediate }) =>
      under(intermediate, { cn: 'elsewhere.example', sans: ['elsewhere.example', '*.localhost'] }),
    problems: ['HOSTNAME_MISMATCH@0'],
    openssl: null,
  },
  {
    name: 'no name',
    make: ({ intermediate }) => under(intermediate, { cn: null }),
    problems: ['HOSTNAME_MISMATCH@0'],
    openssl: null,
  },
  // Pairs: OpenSSL tells one of them.
  {
    name: 'expired + unknown issuer',
    make: async ({ other }) => alone(await other.issue(expired)),
    problems: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE@0', 'CERT_HAS_EXPIRED@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + untrusted root',
    make: async ({ other }) => {
      const leaf = await other.issue(expired);
      return { leaf, sent: leaf.certPem + other.certPem };
    },
    problems: ['CERT_HAS_EXPIRED@0', 'SELF_SIGNED_CERT_IN_CHAIN@1'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + self-signed',
    make: async ({ pki }) => alone(await pki.selfSigned(expired)),
    problems: ['DEPTH_ZERO_SELF_SIGNED_CERT@0', 'CERT_HAS_EXPIRED@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + wrong name',
    make: ({ intermediate }) => under(intermediate, { ...expired, cn: 'elsewhere.example' }),
    problems: ['CERT_HAS_EXPIRED@0', 'HOSTNAME_MISMATCH@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + for clients',
    make: ({ intermediate }) => under(intermediate, { ...expired, eku: ['clientAuth'] }),
    problems: ['CERT_HAS_EXPIRED@0', 'INVALID_PURPOSE@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + broken signature',
    make: ({ intermediate }) => under(intermediate, { ...expired, brokenSignature: true }),
    problems: ['CERT_HAS_EXPIRED@0', 'CERT_SIGNATURE_FAILURE@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + unknown critical extension',
    make: ({ intermediate }) => under(intermediate, { ...expired, unknownCritical: '1.2.3.4' }),
    problems: ['CERT_HAS_EXPIRED@0', 'UNHANDLED_CRITICAL_EXTENSION@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + issued by no CA',
    make: ({ root }) => under(root.intermediate({ ca: false, keyUsage: KEY_USAGE.keyCertSign }), expired),
    problems: ['CERT_HAS_EXPIRED@0', 'INVALID_CA@1', 'INVALID_PURPOSE@1'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + path too long',
    make: async ({ intermediate }) => under(await intermediate.intermediate(), expired),
    problems: ['CERT_HAS_EXPIRED@0', 'PATH_LENGTH_EXCEEDED@2'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + longer than is followed',
    make: async ({ root }) => {
      let issuer = root;
      for (let n = 0; n < 13; n++) issuer = await issuer.intermediate({ cn: `CA ${n}` });
      return under(issuer, expired);
    },
    problems: ['CERT_HAS_EXPIRED@0', 'CERT_CHAIN_TOO_LONG@11'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + RSA 1024',
    make: ({ intermediate }) => under(intermediate, { ...expired, key: 'rsa1024' }),
    problems: ['CERT_HAS_EXPIRED@0', 'EE_KEY_TOO_SMALL@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + SHA-1',
    make: ({ intermediate }) => under(intermediate, { ...expired, digest: 'SHA-1' }),
    problems: ['CERT_HAS_EXPIRED@0', 'CA_MD_TOO_WEAK@0'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + expired intermediate',
    make: ({ root }) => under(root.intermediate(expired), expired),
    problems: ['CERT_HAS_EXPIRED@0', 'CERT_HAS_EXPIRED@1'],
    openssl: 'CERT_HAS_EXPIRED',
  },
  {
    name: 'expired + name not permitted',
    make: ({ root }) => under(root.intermediate({ permittedDns: ['permitted.example'] }), expired),
    problems: ['CERT_HAS_EXPIRED@0', 'PERMITTED_VIOLATION@1'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'not yet valid + unknown issuer',
    make: ({ other }) => under(other.intermediate(), future),
    problems: ['CERT_NOT_YET_VALID@0', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1'],
    openssl: 'CERT_NOT_YET_VALID',
  },
  {
    name: 'wrong name + unknown issuer',
    make: async ({ other }) => alone(await other.issue({ cn: 'elsewhere.example' })),
    problems: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE@0', 'HOSTNAME_MISMATCH@0'],
    openssl: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    name: 'wrong name + self-signed',
    make: async ({ pki }) => alone(await pki.selfSigned({ cn: 'elsewhere.example' })),
    problems: ['DEPTH_ZERO_SELF_SIGNED_CERT@0', 'HOSTNAME_MISMATCH@0'],
    openssl: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  },
  {
    name: 'RSA 1024 + SHA-1',
    make: ({ intermediate }) => under(intermediate, { key: 'rsa1024', digest: 'SHA-1' }),
    problems: ['EE_KEY_TOO_SMALL@0', 'CA_MD_TOO_WEAK@0'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'RSA 1024 + self-signed',
    make: async ({ pki }) => alone(await pki.selfSigned({ key: 'rsa1024' })),
    problems: ['DEPTH_ZERO_SELF_SIGNED_CERT@0', 'EE_KEY_TOO_SMALL@0'],
    openssl: 'UNSPECIFIED',
  },
  {
    name: 'for clients + unknown issuer',
    make: ({ other }) => under(other.intermediate(), { eku: ['clientAuth'] }),
    problems: ['INVALID_PURPOSE@0', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1'],
    openssl: 'INVALID_PURPOSE',
  },
];
