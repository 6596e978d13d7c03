/** The content of a certificate or key file -> certificates and keys, still encrypted where they are. */
import { X509Certificate } from 'node:crypto';
import { type CodedError } from '../../core/errors.ts';
import { derKind, type FileKind, KIND_NAMES } from './detect.ts';
import { type DiagnosisCode, shellWord, unusable } from './diagnosis.ts';
import { NO_USE_HINT } from './keys.ts';
import { type PemBlock, pemBlocks } from './pem.ts';
import type { ReadFile } from './read-file.ts';

/** A key as it is in the file. */
export type KeyPart =
  | { readonly form: 'plain'; readonly type: 'pkcs8' | 'pkcs1' | 'sec1'; readonly der: Buffer }
  | { readonly form: 'encrypted'; readonly der: Buffer }
  /** OpenSSL's own encryption of PKCS#1 and SEC1, described by PEM headers. */
  | { readonly form: 'traditional'; readonly type: 'pkcs1' | 'sec1'; readonly der: Buffer; readonly dekInfo: string };

export interface Parts {
  readonly certificates: readonly X509Certificate[];
  readonly keys: readonly KeyPart[];
}

/** The field of the entry, for the message where the file is something else. */
export type Role = 'cert' | 'key';

/** @throws CodedError for a file of another kind, a truncated one, a damaged certificate */
export function partsOf(read: ReadFile, role: Role): Parts {
  const { file, kind, bytes, text } = read;
  if (text !== null) return partsOfPem(pemBlocks(text, file), file, role);
  if (read.truncated)
    throw unusable(
      'FILE_TRUNCATED',
      file,
      `${file} is truncated: it is ${KIND_NAMES[kind]} whose end is missing`,
      'copy the file again, as it was handed out',
    );
  if (kind === 'certificate') return { certificates: [certificateOf(bytes, file)], keys: [] };
  const key = keyOfDer(kind, bytes);
  if (key) return { certificates: [], keys: [key] };
  throw wrongKind(kind, file, role);
}

function partsOfPem(blocks: readonly PemBlock[], file: string, role: Role): Parts {
  const certificates: X509Certificate[] = [];
  const keys: KeyPart[] = [];
  let other: FileKind | null = null;
  for (const block of blocks) {
    const { label, der } = block;
    if (label === 'CERTIFICATE' || label === 'X509 CERTIFICATE' || label === 'TRUSTED CERTIFICATE') {
      certificates.push(certificateOf(der, file));
    } else if (label.endsWith('PRIVATE KEY')) {
      const key = keyOfBlock(block);
      if (key) keys.push(key);
      else other ??= label.startsWith('DSA') ? 'dsa' : 'unknown';
    } else if (label.endsWith('CERTIFICATE REQUEST')) other ??= 'request';
    else if (label.endsWith('PUBLIC KEY')) other ??= 'public-key';
    else if (label === 'PKCS7' || label === 'CMS') other ??= 'pkcs7';
    // EC PARAMETERS, DH PARAMETERS and CRLs are ignored.
  }
  if (certificates.length === 0 && keys.length === 0) throw wrongKind(other ?? 'unknown', file, role);
  return { certificates, keys };
}

function keyOfBlock({ label, der, headers }: PemBlock): KeyPart | null {
  const type = label === 'RSA PRIVATE KEY' ? 'pkcs1' : label === 'EC PRIVATE KEY' ? 'sec1' : null;
  const dekInfo = headers.get('DEK-Info');
  if (type && dekInfo !== undefined) return { form: 'traditional', type, der, dekInfo };
  if (type) return { form: 'plain', type, der };
  return keyOfDer(label === 'ENCRYPTED PRIVATE KEY' ? 'encrypted-pkcs8' : (derKind(der) ?? 'unknown'), der);
}

function keyOfDer(kind: FileKind, der: Buffer): KeyPart | null {
  if (kind === 'pkcs8' || kind === 'pkcs1' || kind === 'sec1') return { form: 'plain', type: kind, der };
  return kind === 'encrypted-pkcs8' ? { form: 'encrypted', der } : null;
}

export function certificateOf(der: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw unusable(
      'CERTIFICATE_INVALID',
      file,
      `a certificate in ${file} is damaged: it is not X.509`,
      `look at it with: openssl x509 -in ${shellWord(file)} -noout -text`,
    );
  }
}

/** A file that can't be a certificate or key, with what to do about it. */
export function wrongKind(kind: FileKind, file: string, role: Role | 'pfx'): CodedError {
  const f = shellWord(file);
  const wanted = role === 'cert' ? 'a certificate' : role === 'key' ? 'a private key' : 'a PFX (PKCS#12) file';
  // An OpenSSH key is a private key, only of another format.
  const unread = role === 'key' && (kind === 'openssh' || kind === 'putty');
  const is = `${file} is ${KIND_NAMES[kind]}${unread ? ', a format that TLS does not use' : kind === 'unknown' ? '' : `, not ${wanted}`}`;
  const converted = shellWord(`${file}.pem`);
  const inform = file.endsWith('.pem') ? '' : ' -inform DER';
  // biome-ignore format: a table reads best as a table
  const known: Partial<Record<FileKind, readonly [DiagnosisCode, string]>> = {
    jks: ['JAVA_KEYSTORE', `convert it, then use it as pfx: keytool -importkeystore -srckeystore ${f} -destkeystore ${shellWord(`${file}.p12`)} -deststoretype PKCS12`],
    openssh: ['OPENSSH_KEY', `convert a copy, then use that as key: cp ${f} ${converted} && ssh-keygen -p -m PKCS8 -f ${converted}`],
    putty: ['PUTTY_KEY', `convert it, then use that as key: puttygen ${f} -O private-openssh -o ${converted} && ssh-keygen -p -m PKCS8 -f ${converted}`],
    pkcs7: ['PKCS7_FILE', `take the certificates out, then use that as cert: openssl pkcs7 -in ${f}${inform} -print_certs -out ${converted}`],
    pfx: ['WRONG_KIND', `use it as a PFX: mtlsd cert add HOST --pfx ${f}; in certificates.yaml: write pfx: in place of ${role}:`],
    base64: ['FORMAT_UNKNOWN', `decode it first: base64 -d ${f} > ${shellWord(`${file}.decoded`)}`],
    request: ['WRONG_KIND', 'send it to the CA and use the certificate that comes back'],
    unknown: ['FORMAT_UNKNOWN', `look at what it is: file ${f}`],
    dsa: ['WRONG_KIND', NO_USE_HINT],
  };
  const otherwise =
    role === 'pfx'
      ? `use it as PEM: mtlsd cert add HOST --cert ${f} --key FILE; in certificates.yaml: write cert: and key: in place of pfx:`
      : `name a file with ${wanted} under ${role}:`;
  const [code, hint] = known[kind] ?? ['WRONG_KIND', otherwise];
  return unusable(code, file, is, hint);
}
