/** Files -> ClientIdentity, or what is wrong with them: every fault that shows without a server. */
import { createHash, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { CodedError, nativeCode } from '../../core/errors.ts';
import { certificateFacts } from '../../core/facts.ts';
import { Secret } from '../../core/secret.ts';
import { loadTrust, type TrustAnchors } from '../trust.ts';
import { type CertificateFormat, type Chain, orderChain, usageProblems } from './chain.ts';
import { decryptKey, decodePfx } from './decoder.ts';
import { type DiagnosisCode, diagnosis, shellWord, unusable } from './diagnosis.ts';
import type { ClientIdentity, Diagnosis } from './identity.ts';
import { describeKey, keyOf } from './keys.ts';
import { type KeyPart, partsOf, wrongKind } from './parts.ts';
import { type PassphraseSource, readPassphrase } from './passphrase.ts';
import { type FileSource, type ReadFile, readIdentityFile } from './read-file.ts';

export interface IdentitySource {
  readonly cert: FileSource | null;
  readonly key: FileSource | null;
  readonly pfx: FileSource | null;
  /** Friendly name of the key in a PFX with several. */
  readonly alias: string | null;
  readonly passphrase: PassphraseSource | null;
}

export interface LoadedIdentity {
  readonly identity: ClientIdentity | null;
  /** Without those that depend on the date: `dateProblems` computes them at each use. */
  readonly problems: readonly Diagnosis[];
  /** The file that holds the certificate, for messages about it. */
  readonly file: string | null;
}

/**
 * Never rejects: a fault is a problem of severity error and no identity.
 * @param roots known here, the system's when left out; they show whether an issuer is missing in the files
 */
export async function loadIdentity(
  source: IdentitySource,
  roots: Pick<TrustAnchors, 'certificates'> = loadTrust({ system: true, ca: [] }),
): Promise<LoadedIdentity> {
  const problems: Diagnosis[] = [];
  const main = source.pfx ?? source.cert;
  const file = main === null ? null : 'path' in main ? main.path : main.label;
  try {
    const pair = await loadPair(source, problems, roots);
    problems.push(...usageProblems(pair.leaf, pair.certFile));
    return { identity: identityOf(pair), problems, file };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, message, hint } = error;
    return {
      identity: null,
      problems: [diagnosis(code as DiagnosisCode, error.file, message, hint), ...problems],
      file,
    };
  }
}

/** A key and the certificates above it, whatever they are for. */
export interface Pair extends Chain {
  readonly key: KeyObject;
  readonly certFile: string;
}

/**
 * @param problems gets what does not make them impossible
 * @throws CodedError of a DiagnosisCode
 */
export async function loadPair(
  source: IdentitySource,
  problems: Diagnosis[],
  roots: Pick<TrustAnchors, 'certificates'>,
): Promise<Pair> {
  const found = source.pfx ? await fromPfx(source, source.pfx, problems) : await fromFiles(source, problems);
  const { key, keyFile, certificates, certFile, format } = found;
  const ordered = orderChain(certificates, key, certFile, format, roots);
  if (!ordered) throw mismatch(key, keyFile, certificates, certFile);
  problems.push(...ordered.problems);
  refuseWeak(ordered, key, certFile);
  return { ...ordered, key, certFile };
}

interface Found {
  readonly key: KeyObject;
  readonly keyFile: string;
  readonly certificates: readonly X509Certificate[];
  readonly certFile: string;
  readonly format: CertificateFormat;
}

async function fromFiles(source: IdentitySource, problems: Diagnosis[]): Promise<Found> {
  if (!source.cert)
    throw unusable(
      'CERTIFICATE_MISSING',
      null,
      'neither a certificate nor a PFX is named',
      'name one under cert: or pfx:',
    );
  const certRead = await readIdentityFile(source.cert, true);
  const inCert = partsOf(certRead, 'cert');
  const keyRead = source.key ? await readIdentityFile(source.key, true) : certRead;
  const inKey = source.key ? partsOf(keyRead, 'key') : inCert;
  noteReads(problems, certRead, keyRead);
  const certificates = inCert.certificates;
  if (certificates.length === 0)
    throw unusable(
      'CERTIFICATE_MISSING',
      certRead.file,
      `${certRead.file} holds a private key and no certificate`,
      'name the certificate under cert: and this file under key:',
    );
  if (inKey.keys.length === 0) throw keyMissing(source, certRead, keyRead);
  const encrypted = inKey.keys.some((part) => part.form !== 'plain');
  const passphrase = await passphraseFor(source, encrypted, keyRead.file, problems);
  const keys: KeyObject[] = [];
  for (const part of inKey.keys) keys.push(await openKey(part, passphrase, keyRead.file));
  const key = keys.find((key) => certificates.some((certificate) => certificate.checkPrivateKey(key))) ?? keys[0];
  if (!key) throw keyMissing(source, certRead, keyRead);
  return {
    key,
    keyFile: keyRead.file,
    certificates,
    certFile: certRead.file,
    format: certRead.text === null ? 'der' : 'pem',
  };
}

function keyMissing(source: IdentitySource, certRead: ReadFile, keyRead: ReadFile): CodedError {
  if (!source.key)
    return unusable(
      'KEY_MISSING',
      certRead.file,
      `${certRead.file} holds no private key, and no key file is named`,
      'name the key file under key:',
    );
  return unusable(
    'KEY_MISSING',
    keyRead.file,
    `${keyRead.file} holds a certificate and no private key`,
    'name the file with the private key under key:',
  );
}

async function fromPfx(source: IdentitySource, pfx: FileSource, problems: Diagnosis[]): Promise<Found> {
  const read = await readIdentityFile(pfx, true);
  noteReads(problems, read);
  if (read.kind !== 'pfx') throw wrongKind(read.kind, read.file, 'pfx');
  if (read.truncated)
    throw unusable(
      'FILE_TRUNCATED',
      read.file,
      `${read.file} is truncated: it is a PFX whose end is missing`,
      'copy the file again, as it was handed out',
    );
  const passphrase = source.passphrase ? await readPassphrase(source.passphrase) : null;
  const found = await decodePfx(read.bytes, passphrase, read.file, source.alias, problems);
  return { ...found, keyFile: read.file, certFile: read.file, format: 'pfx' };
}

function noteReads(problems: Diagnosis[], ...reads: readonly ReadFile[]): void {
  for (const problem of reads.flatMap((read) => read.problems)) {
    if (!problems.some((known) => known.code === problem.code && known.file === problem.file)) problems.push(problem);
  }
}

async function passphraseFor(
  source: IdentitySource,
  needed: boolean,
  file: string,
  problems: Diagnosis[],
): Promise<Secret> {
  if (!needed) {
    if (source.passphrase)
      problems.push(
        diagnosis(
          'PASSPHRASE_UNNEEDED',
          file,
          `the key in ${file} is not encrypted; the passphrase is not used`,
          'leave passphrase: out, or encrypt the key',
        ),
      );
    return new Secret('');
  }
  if (!source.passphrase)
    throw unusable(
      'PASSPHRASE_MISSING',
      file,
      `the key in ${file} is encrypted, and there is no passphrase for it`,
      'add passphrase: { env: NAME }, { file: PATH } or { command: [...] }',
    );
  return readPassphrase(source.passphrase);
}

/** @param passphrase of an encrypted one */
export async function openKey(part: KeyPart, passphrase: Secret | null, file: string): Promise<KeyObject> {
  if (part.form === 'plain') return keyOf(part.der, part.type, file);
  return decryptKey(part, passphrase ?? new Secret(''), file);
}

function identityOf({ key, leaf, chain, issuer }: Pair): ClientIdentity {
  const keyPem = new Secret(pemOf(key));
  const hash = createHash('sha256').update(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  for (const certificate of chain) hash.update(certificate.raw);
  return Object.freeze({
    id: hash.digest('hex'),
    leaf,
    chain,
    issuer,
    facts: chain.map(certificateFacts),
    certPem: chain.map(String).join(''),
    keyPem: () => keyPem.reveal(),
  });
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function mismatch(
  key: KeyObject,
  keyFile: string,
  certificates: readonly X509Certificate[],
  certFile: string,
): CodedError {
  const leaf = certificates.find((certificate) => !certificate.ca) ?? certificates[0];
  const facts = leaf ? certificateFacts(leaf) : null;
  const message = `the key in ${keyFile} (${describeKey(key)}) is not the key of ${facts?.subject} (${facts?.key}) in ${certFile}`;
  return unusable(
    'KEY_MISMATCH',
    keyFile,
    message,
    `compare: openssl x509 -in ${shellWord(certFile)} -noout -pubkey, and openssl pkey -in ${shellWord(keyFile)} -pubout`,
  );
}

/** OpenSSL refuses small keys when it makes a context: report that at load, not at the first request. */
function refuseWeak({ leaf, chain }: Chain, privateKey: KeyObject, file: string): void {
  const { subject, key } = certificateFacts(leaf);
  try {
    tls.createSecureContext({ cert: chain.map(String).join(''), key: pemOf(privateKey) });
  } catch (error) {
    const code = nativeCode(error) ?? 'unknown error';
    if (/KEY_TOO_SMALL/.test(code)) {
      const hint = 'ask the CA for a certificate with RSA 2048, or better EC P-256';
      throw unusable('KEY_TOO_WEAK', file, `${subject} has a key of ${key}, too weak for TLS`, hint);
    }
    const hint = `look at both: openssl x509 -in ${shellWord(file)} -noout -text`;
    throw unusable('KEY_INVALID', file, `OpenSSL refuses ${subject} with its key of ${key}: ${code}`, hint);
  }
}
