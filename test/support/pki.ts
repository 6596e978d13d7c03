/**
 * A certificate authority for tests, made at run time with @peculiar/x509: independent of the product's own minting, so
 * that the two check each other. It makes bad certificates on purpose; every field can be set wrong.
 */
import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { sign, webcrypto, X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import { children } from '../../src/core/der.ts';

x509.cryptoProvider.set(webcrypto as never);

export type KeyKind = 'p256' | 'p384' | 'p521' | 'ed25519' | 'rsa1024' | 'rsa2048' | 'rsa3072' | 'rsa-pss';

/** The bits of RFC 5280 §4.2.1.3. */
export const KEY_USAGE = {
  digitalSignature: 1,
  nonRepudiation: 2,
  keyEncipherment: 4,
  keyAgreement: 16,
  keyCertSign: 32,
  cRLSign: 64,
} as const;

/** OIDs by the names that OpenSSL uses. */
const EKU = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  any: '2.5.29.37.0',
} as const;

export interface CertificateOptions {
  /** Common name; null for an empty subject. */
  readonly cn?: string | null;
  /** The whole subject, as in `O=Example, CN=name` or `[{ O: ['Example'] }, { CN: ['name'] }]`; wins over `cn`. */
  readonly subject?: string | x509.JsonName;
  /** Names and IP addresses; `email:` and `URI:` prefixes too. Default: `cn` where it looks like a host. */
  readonly sans?: readonly string[];
  /** Names from EKU, or OIDs; null for no extension. */
  readonly eku?: readonly string[] | null;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** `rsa-pss` is an ordinary RSA key that signs with PSS. */
  readonly key?: KeyKind;
  /** A key of its own; otherwise one per kind is shared by the whole PKI, since making RSA keys is slow. */
  readonly freshKey?: boolean;
  readonly digest?: 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
  readonly ca?: boolean;
  /** No basicConstraints at all. */
  readonly noBasicConstraints?: boolean;
  /** A second basicConstraints, with the opposite in it. */
  readonly doubledBasicConstraints?: boolean;
  readonly pathLength?: number;
  /** Bits from KEY_USAGE; null for no extension. */
  readonly keyUsage?: number | null;
  readonly permittedDns?: readonly string[];
  readonly excludedDns?: readonly string[];
  readonly permittedIps?: readonly string[];
  /** URLs of its CRL. */
  readonly crls?: readonly string[];
  /** OID of an unknown critical extension. */
  readonly unknownCritical?: string;
  readonly serial?: string;
  /** An authority key identifier that is not the issuer's. */
  readonly wrongAki?: boolean;
  readonly noKeyIdentifiers?: boolean;
  /** Flips a bit of the signature. */
  readonly brokenSignature?: boolean;
  /** Changes bytes of what is signed, before it is. */
  readonly alter?: (content: Buffer) => void;
  /** The curve of a P-256 key in numbers, in place of its name. */
  readonly explicitCurve?: boolean;
  readonly extensions?: readonly x509.Extension[];
  /** The key of a request, in place of one that is made here. */
  readonly publicKey?: x509.PublicKey;
}

export interface Written {
  readonly cert: string;
  readonly key: string;
  readonly chain: string;
}

export interface Issued {
  readonly certPem: string;
  /** Unencrypted PKCS#8. */
  readonly keyPem: string;
  /** Leaf first; up to, but without, the root. */
  readonly chainPem: string;
  readonly x509: X509Certificate;
  /** Writes `<name>.crt`, `<name>.key` and `<name>-chain.crt`; name defaults to `cert`. */
  write(dir: string, name?: string): Written;
}

export interface Authority extends Issued {
  intermediate(options?: CertificateOptions): Promise<Authority>;
  issue(options?: CertificateOptions): Promise<Issued>;
}

export interface Pki {
  root(options?: CertificateOptions): Promise<Authority>;
  selfSigned(options?: CertificateOptions): Promise<Issued>;
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** A moment relative to now, whole seconds: `ago(2 * DAY)`. */
export function ago(ms: number): Date {
  return new Date(Math.floor((Date.now() - ms) / 1000) * 1000);
}
export function ahead(ms: number): Date {
  return ago(-ms);
}

interface Pair {
  readonly kind: KeyKind;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly pem: string;
}

interface Signer {
  readonly subject: string;
  readonly pair: Pair;
  readonly upwards: readonly string[];
}

const ALGORITHMS = {
  p256: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  p521: { name: 'ECDSA', namedCurve: 'P-521' },
  ed25519: { name: 'Ed25519' },
  rsa1024: rsa('RSASSA-PKCS1-v1_5', 1024),
  rsa2048: rsa('RSASSA-PKCS1-v1_5', 2048),
  rsa3072: rsa('RSASSA-PKCS1-v1_5', 3072),
  'rsa-pss': rsa('RSA-PSS', 2048),
} as const;

function rsa(name: string, modulusLength: number) {
  return { name, modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
}

export async function createPki(): Promise<Pki> {
  const shared = new Map<string, Promise<Pair>>();

  async function makePair(kind: KeyKind): Promise<Pair> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHMS[kind], true, [
      'sign',
      'verify',
    ])) as webcrypto.CryptoKeyPair;
    const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { kind, keys, pem: pem('PRIVATE KEY', Buffer.from(der)) };
  }
  // Issuer and subject must not share a key, or a broken chain would verify by accident; so one per kind and role.
  function pairFor(options: CertificateOptions, role: string): Promise<Pair> {
    const kind = options.key ?? 'p256';
    if (options.freshKey === true || role !== 'leaf') return makePair(kind);
    const known = shared.get(kind) ?? makePair(kind);
    shared.set(kind, known);
    return known;
  }

  async function make(options: CertificateOptions, role: 'root' | 'ca' | 'leaf', issuer: Signer | null): Promise<Made> {
    const pair = await pairFor(options, role);
    const subject = options.subject ?? (options.cn === null ? '' : `CN=${options.cn ?? `test ${role}`}`);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber:
        options.serial ??
        Buffer.from(webcrypto.getRandomValues(new Uint8Array(15)))
          .toString('hex')
          .replace(/^0|^[89a-f]/, '1'),
      subject,
      issuer: issuer?.subject ?? subject,
      notBefore: options.notBefore ?? ago(HOUR),
      notAfter: options.notAfter ?? ahead(30 * DAY),
      publicKey: options.publicKey ?? (options.explicitCurve ? explicitKey(pair) : pair.keys.publicKey),
      signingKey: await signingKey(issuer?.pair ?? pair, options.digest ?? 'SHA-256'),
      signingAlgorithm: signingAlgorithm((issuer?.pair ?? pair).kind, options.digest ?? 'SHA-256'),
      extensions: await extensionsOf(options, role, pair, issuer),
    });
    const written = Buffer.from(certificate.rawData);
    const der = options.alter ? resigned(written, options.alter, issuer?.pair ?? pair) : written;
    if (options.brokenSignature === true) der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    return { pair, der, subject: certificate.subject };
  }

  function issued(made: Made, above: readonly string[]): Issued {
    const certPem = pem('CERTIFICATE', made.der);
    const chainPem = [certPem, ...above].join('');
    return {
      certPem,
      keyPem: made.pair.pem,
      chainPem,
      x509: new X509Certificate(made.der),
      write(dir, name = 'cert') {
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        const written = { cert: `${name}.crt`, key: `${name}.key`, chain: `${name}-chain.crt` };
        const at = (file: string) => path.join(dir, file);
        writeFileSync(at(written.cert), certPem);
        writeFileSync(at(written.key), made.pair.pem, { mode: 0o600 });
        writeFileSync(at(written.chain), chainPem);
        return { cert: at(written.cert), key: at(written.key), chain: at(written.chain) };
      },
    };
  }

  function authority(made: Made, above: readonly string[], isRoot: boolean): Authority {
    const self = issued(made, above);
    const upwards = isRoot ? [] : [self.certPem, ...above];
    const signer: Signer = { subject: made.subject, pair: made.pair, upwards };
    return {
      ...self,
      async intermediate(options = {}) {
        return authority(await make({ cn: 'test intermediate', ...options }, 'ca', signer), upwards, false);
      },
      async issue(options = {}) {
        return issued(await make({ cn: 'localhost', ...options }, 'leaf', signer), upwards);
      },
    };
  }

  return {
    root: async (options = {}) => authority(await make(options, 'root', null), [], true),
    selfSigned: async (options = {}) =>
      issued(await make({ cn: 'localhost', freshKey: true, ...options }, 'leaf', null), []),
  };
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 §4.1). */
function resigned(certificate: Buffer, alter: (content: Buffer) => void, { pem }: Pair): Buffer {
  const [content = Buffer.alloc(0), algorithm = Buffer.alloc(0)] = children(certificate).map(({ raw }) =>
    Buffer.from(raw),
  );
  alter(content);
  const signature = Buffer.concat([Buffer.of(0), sign('sha256', content, pem)]);
  return tlv(0x30, Buffer.concat([content, algorithm, tlv(0x03, signature)]));
}

function explicitKey({ pem }: Pair): x509.PublicKey {
  const der = execFileSync('openssl', ['pkey', '-pubout', '-outform', 'DER', '-ec_param_enc', 'explicit'], {
    input: pem,
  });
  return new x509.PublicKey(der);
}

interface Made {
  readonly pair: Pair;
  readonly der: Buffer;
  readonly subject: string;
}

/** WebCrypto ties an RSA key to one hash. */
async function signingKey(pair: Pair, hash: string): Promise<webcrypto.CryptoKey> {
  const { name } = ALGORITHMS[pair.kind];
  if (!name.startsWith('RSA')) return pair.keys.privateKey;
  const der = await webcrypto.subtle.exportKey('pkcs8', pair.keys.privateKey);
  return webcrypto.subtle.importKey('pkcs8', der, { name, hash }, false, ['sign']);
}

function signingAlgorithm(kind: KeyKind, hash: string) {
  const name = ALGORITHMS[kind].name;
  return name === 'RSA-PSS' ? { name, hash, saltLength: 32 } : { name, hash };
}

async function extensionsOf(
  options: CertificateOptions,
  role: 'root' | 'ca' | 'leaf',
  pair: Pair,
  issuer: Signer | null,
): Promise<x509.Extension[]> {
  const ca = options.ca ?? role !== 'leaf';
  const extensions: x509.Extension[] = [...(options.extensions ?? [])];
  if (options.noBasicConstraints !== true) {
    extensions.push(new x509.BasicConstraintsExtension(ca, options.pathLength, true));
  }
  const usual = ca ? KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign : KEY_USAGE.digitalSignature;
  if (options.doubledBasicConstraints === true)
    extensions.push(new x509.BasicConstraintsExtension(!ca, undefined, true));
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- a union of bits, which is no member of the enum
  const keyUsage = (options.keyUsage ?? usual) as x509.KeyUsageFlags;
  if (options.keyUsage !== null) extensions.push(new x509.KeyUsagesExtension(keyUsage, true));
  const eku = options.eku === undefined ? (ca ? null : ['serverAuth', 'clientAuth']) : options.eku;
  if (eku !== null) {
    extensions.push(new x509.ExtendedKeyUsageExtension(eku.map((name) => EKU[name as keyof typeof EKU] ?? name)));
  }
  const sans = options.sans ?? (!ca && options.cn && /^[\w.*-]+$/.test(options.cn) ? [options.cn] : []);
  if (sans.length > 0) {
    extensions.push(new x509.SubjectAlternativeNameExtension(sans.map(generalName), options.cn === null));
  }
  if (options.noKeyIdentifiers !== true) {
    extensions.push(await x509.SubjectKeyIdentifierExtension.create(options.publicKey ?? pair.keys.publicKey));
    const signer = options.wrongAki === true ? '00'.repeat(20) : (issuer?.pair ?? pair).keys.publicKey;
    extensions.push(
      typeof signer === 'string'
        ? new x509.AuthorityKeyIdentifierExtension(signer)
        : await x509.AuthorityKeyIdentifierExtension.create(signer),
    );
  }
  if (options.crls) extensions.push(new x509.CRLDistributionPointsExtension([...options.crls]));
  const constraints = nameConstraints(options);
  if (constraints) extensions.push(constraints);
  if (options.unknownCritical !== undefined) {
    extensions.push(new x509.Extension(options.unknownCritical, true, new Uint8Array([5, 0])));
  }
  return extensions;
}

function generalName(san: string): x509.JsonGeneralName {
  if (isIP(san)) return { type: 'ip', value: san };
  const prefixed = /^(email|URI):(.*)$/.exec(san);
  if (prefixed) return { type: prefixed[1] === 'URI' ? 'url' : 'email', value: prefixed[2] ?? '' };
  return { type: 'dns', value: san };
}

/** RFC 5280 §4.2.1.10, written out: GeneralSubtrees of dNSName [2] and iPAddress [7]. */
function nameConstraints(options: CertificateOptions): x509.Extension | null {
  const subtree = (tag: number, value: Buffer) => tlv(0x30, tlv(tag, value));
  const dns = (names: readonly string[] = []) => names.map((name) => subtree(0x82, Buffer.from(name)));
  const ips = (addresses: readonly string[] = []) =>
    addresses.map((address) => subtree(0x87, Buffer.from([...address.split('.').map(Number), 255, 255, 255, 255])));
  const permitted = [...dns(options.permittedDns), ...ips(options.permittedIps)];
  const excluded = dns(options.excludedDns);
  if (permitted.length + excluded.length === 0) return null;
  const parts = [];
  if (permitted.length > 0) parts.push(tlv(0xa0, Buffer.concat(permitted)));
  if (excluded.length > 0) parts.push(tlv(0xa1, Buffer.concat(excluded)));
  return new x509.Extension('2.5.29.30', true, tlv(0x30, Buffer.concat(parts)));
}

function tlv(tag: number, value: Buffer): Buffer {
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  return Buffer.concat([Buffer.from([tag, 0x82, value.length >> 8, value.length & 255]), value]);
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
