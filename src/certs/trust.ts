/** Trust anchors, and the secure contexts that are made of them. */
import { createHash, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { children, elements, oidText, TAG } from '../core/der.ts';
import { badConfiguration } from '../core/errors.ts';
import { certificateFacts, isSelfSigned } from '../core/facts.ts';
import { Lru } from '../core/lru.ts';
import type { ClientIdentity } from './identity/identity.ts';

export interface TrustAnchors {
  /** SHA-256 over the set. */
  readonly id: string;
  readonly certificates: readonly X509Certificate[];
  readonly pems: readonly string[];
  /** Whether some are no roots. */
  readonly partial: boolean;
}

export interface TrustOptions {
  /** The system's trust anchors, or the runtime's bundle where there are none. */
  readonly system: boolean;
  /** PEM text, one block or many, and the file that it came from, for messages. */
  readonly ca: readonly { readonly pem: string; readonly file: string }[];
}

/**
 * Trust anchors as one immutable set; equal sets have equal ids and are the same object.
 * @throws MtlsdError BAD_CONFIGURATION naming the file and the block that is no certificate: Node
 *   accepts garbage for `ca` silently (24.21), and the failure would show as an unknown issuer, far from its cause
 */
export function loadTrust(options: TrustOptions): TrustAnchors {
  const own = new Map<string, X509Certificate>();
  for (const { pem, file } of options.ca) {
    for (const anchor of parseAnchors(pem, file)) own.set(anchor.fingerprint256, anchor);
  }
  // The system's set is the same for the life of the process, so its name identifies it.
  const id = createHash('sha256')
    .update([options.system ? 'system' : '', ...[...own.keys()].sort()].join('\n'))
    .digest('hex');
  const known = sets.get(id);
  if (known) return known;
  const set = new AnchorSet(id, options.system, [...own.values()]);
  sets.set(id, set);
  return set;
}

/** Reads the system's anchors when they are first asked for: 100 ms that a start need not wait for. */
class AnchorSet implements TrustAnchors {
  readonly id: string;
  readonly #system: boolean;
  readonly #own: readonly X509Certificate[];
  #all: readonly X509Certificate[] | null = null;
  #pems: readonly string[] | null = null;
  #partial: boolean | null = null;

  constructor(id: string, system: boolean, own: readonly X509Certificate[]) {
    this.id = id;
    this.#system = system;
    this.#own = own;
  }

  get certificates(): readonly X509Certificate[] {
    if (!this.#all) {
      const anchors = new Map((this.#system ? systemAnchors() : []).map((anchor) => [anchor.fingerprint256, anchor]));
      for (const anchor of this.#own) anchors.set(anchor.fingerprint256, anchor);
      this.#all = Object.freeze([...anchors.values()]);
    }
    return this.#all;
  }

  get pems(): readonly string[] {
    this.#pems ??= Object.freeze(this.certificates.map((certificate) => certificate.toString()));
    return this.#pems;
  }

  get partial(): boolean {
    // Also one that carries a CA to its new key, which has the name of its issuer.
    this.#partial ??=
      this.#own.some((anchor) => !isSelfSigned(anchor)) ||
      this.certificates.some(({ subject, issuer }) => subject !== issuer);
    return this.#partial;
  }
}

/** Sets by id. Reloads bring the same few again and again; older ones live on only in the policies that hold them. */
const sets = new Lru<string, TrustAnchors>(64);

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*(?:-----END \1-----)?/g;
const CERTIFICATE_LABELS = new Set(['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']);

function parseAnchors(pem: string, file: string): X509Certificate[] {
  const blocks = [...pem.matchAll(BLOCK)];
  if (blocks.length === 0) {
    throw badConfiguration(
      `${file} holds no certificate`,
      `expected PEM text with -----BEGIN CERTIFICATE----- in ${file}`,
    );
  }
  return blocks.map(([text, label = ''], index) => {
    const place = `block ${index + 1} of ${blocks.length} in ${file}`;
    if (!CERTIFICATE_LABELS.has(label)) {
      throw badConfiguration(`${place} is not a certificate but ${label}`, `leave only CA certificates in ${file}`);
    }
    let anchor: X509Certificate;
    let marked = false;
    try {
      anchor = new X509Certificate(text);
      marked = label === 'TRUSTED CERTIFICATE' && !isForServers(text);
    } catch (cause) {
      throw badConfiguration(
        `${place} is not a readable certificate`,
        `look at it with: openssl x509 -in ${file} -noout -text`,
        cause,
      );
    }
    if (marked)
      throw badConfiguration(
        `${place} is marked as not trusted for TLS servers: ${certificateFacts(anchor).subject}`,
        `to trust it anyway, write it without the mark: openssl x509 -in ${file} -out ${file}.plain.pem, and name that file`,
      );
    return anchor;
  });
}

const FOR_SERVERS = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];
const TAG_REJECT = 0xa0;

/**
 * Whether a TRUSTED CERTIFICATE may vouch for servers, by the marks of `openssl x509 -addtrust` and `-addreject` behind it:
 * X509_CERT_AUX ::= SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0] SEQUENCE OF OID OPTIONAL, … }. Node loses them (24.21).
 * @throws RangeError where they are damaged
 */
function isForServers(pem: string): boolean {
  const [, marks] = elements(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64'));
  const lists = marks ? children(marks.raw) : [];
  const named = (tag: number) =>
    lists.filter((list) => list.tag === tag).flatMap((list) => elements(list.value).map(({ value }) => oidText(value)));
  const [trusted, rejected] = [named(TAG.sequence), named(TAG_REJECT)];
  const isFor = (usages: readonly string[]) => usages.some((usage) => FOR_SERVERS.includes(usage));
  return !isFor(rejected) && (trusted.length === 0 || isFor(trusted));
}

let systemSet: readonly X509Certificate[] | null = null;

/**
 * The system's anchors, read once: the runtime itself caches them for the life of the process. Node reads the files that
 * OpenSSL was built to read, or SSL_CERT_FILE and SSL_CERT_DIR, and returns a certificate once per file that holds it.
 * NODE_EXTRA_CA_CERTS is left out: `mtlsd env` sets it to the local CA, which must never vouch for a server.
 */
function systemAnchors(): readonly X509Certificate[] {
  if (systemSet) return systemSet;
  const system = tls.getCACertificates('system');
  const pems = new Set(system.length > 0 ? system : tls.getCACertificates('bundled'));
  systemSet = [...pems].map((pem) => new X509Certificate(pem));
  return systemSet;
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface ContextOptions {
  readonly identity: ClientIdentity | null;
  readonly trust: TrustAnchors;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

/**
 * The secure context for these, shared by all connections that agree in all of them. Key and chain go in as PEM and
 * never as `pfx`, which would make a root inside the PFX a trust anchor for servers (Node 24.21).
 *
 * A context with 140 anchors takes 7 to 12 ms and 0.33 MiB to make, one without them 0.2 ms. There is no sharing the
 * store between contexts: tls.setDefaultCACertificates is for the whole process, and TLSSocket.setKeyCert does nothing
 * on a client socket. So they are kept, and a connection made with one never pays again.
 * @throws Error of OpenSSL where key and chain can't be used together; the identity was checked when it loaded
 */
export function secureContextFor(options: ContextOptions): tls.SecureContext {
  const { identity, trust, minVersion, maxVersion } = options;
  const key = `${identity?.id ?? 'none'} ${trust.id} ${minVersion} ${maxVersion}`;
  const known = contexts.get(key);
  if (known) return known;
  const context = tls.createSecureContext({
    ca: [...trust.pems],
    // An intermediate under trust.ca is trusted, as with curl; without this flag OpenSSL requires its root. The flag is set only
    // then, since it changes the code of a missing issuer from the one that users know.
    allowPartialTrustChain: trust.partial,
    minVersion,
    maxVersion,
    // OpenSSL 3 has no TLS 1.0 and 1.1 above security level 0: their handshakes are signed over MD5 and SHA-1.
    ...(minVersion < 'TLSv1.2' ? { ciphers: `${tls.DEFAULT_CIPHERS}:@SECLEVEL=0` } : {}),
    ...(identity ? { cert: identity.certPem, key: identity.keyPem() } : {}),
  });
  contexts.set(key, context);
  return context;
}

/** At 0.33 MiB each, 64 of them are 21 MiB: more identities than people have, and less memory than the daemon's own. */
const contexts = new Lru<string, tls.SecureContext>(64);
