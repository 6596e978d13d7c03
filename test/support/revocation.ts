/** What a CA says of certificates that it issued: CRLs by @peculiar/x509, OCSP responses by openssl. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign, webcrypto, type X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { temporaryDirectory } from './daemon.ts';
import { ago, ahead, type Authority, HOUR } from './pki.ts';

export interface CrlContent {
  readonly revoked?: readonly X509Certificate[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date;
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

/** PEM, signed by the RSA key of the issuer; what is revoked was so an hour ago, as its key is compromised. */
export async function crlOf(
  issuer: Authority,
  { revoked = [], thisUpdate = ago(HOUR), nextUpdate = ahead(HOUR) }: CrlContent = {},
): Promise<string> {
  const pkcs8 = createPrivateKey(issuer.keyPem).export({ type: 'pkcs8', format: 'der' });
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, RSA, false, ['sign']);
  const crl = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(issuer.certPem).subject,
    thisUpdate,
    nextUpdate,
    signingAlgorithm: RSA,
    signingKey: signingKey as never,
    entries: revoked.map(({ serialNumber }) => ({
      serialNumber,
      revocationDate: ago(HOUR),
      reason: x509.X509CrlReason.keyCompromise,
    })),
  });
  // RFC 7468 §6 has another label than the library.
  return crl.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL');
}

/** id-pe-tlsfeature with status_request (RFC 7633): the server has to staple. */
export const MUST_STAPLE = new x509.Extension(
  '1.3.6.1.5.5.7.1.24',
  false,
  new Uint8Array([0x30, 0x03, 0x02, 0x01, 0x05]),
);

export type StapleKind = 'good' | 'revoked' | 'unknown' | 'stale' | 'forged';

/** The file of an OCSP response about the certificate; the issuer has an RSA key. */
export function stapleOf(issuer: Authority, certificate: X509Certificate, kind: StapleKind): string {
  const dir = temporaryDirectory();
  issuer.write(dir, 'ca');
  writeFileSync(join(dir, 'leaf.pem'), certificate.toString());
  const serial = certificate.serialNumber;
  const lines = {
    good: `V\t391231235959Z\t\t${serial}\tunknown\t/CN=x\n`,
    revoked: `R\t391231235959Z\t${utc(ago(HOUR))},keyCompromise\t${serial}\tunknown\t/CN=x\n`,
    unknown: '',
  };
  writeFileSync(join(dir, 'index.txt'), kind in lines ? lines[kind as keyof typeof lines] : lines.good);
  const run = (...args: string[]): Buffer => execFileSync('openssl', ['ocsp', ...args], { cwd: dir, stdio: 'pipe' });
  run('-issuer', 'ca.crt', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'request.der');
  const signer = ['-CA', 'ca.crt', '-rsigner', 'ca.crt', '-rkey', 'ca.key'];
  run('-index', 'index.txt', ...signer, '-reqin', 'request.der', '-respout', 'response.der', '-nmin', '60');
  const file = join(dir, 'response.der');
  if (kind === 'stale') writeFileSync(file, aged(readFileSync(file), issuer.keyPem));
  if (kind === 'forged') writeFileSync(file, forged(readFileSync(file)));
  return file;
}

const utc = (date: Date): string =>
  `${date
    .toISOString()
    .replaceAll(/[-:T]|\..*/g, '')
    .slice(2)}Z`;

/** The same response of 2020, signed again: an RSA signature keeps its length. */
function aged(response: Buffer, keyPem: string): Buffer {
  const bytes = Buffer.from(response);
  // The tag and length of a GeneralizedTime, and the century.
  const time = Buffer.from([0x18, 0x0f, 0x32, 0x30]);
  for (let at = bytes.indexOf(time); at !== -1; at = bytes.indexOf(time, at + 1)) bytes.write('20', at + 4, 'latin1');
  const signed = signedPart(bytes);
  sign('sha256', signed, keyPem).copy(bytes, signatureAt(bytes));
  return bytes;
}

function forged(response: Buffer): Buffer {
  const bytes = Buffer.from(response);
  const at = signatureAt(bytes);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

/** BasicOCSPResponse is the content of the one octet string that holds a sequence; its first element is what is signed. */
function signedPart(bytes: Buffer): Buffer {
  const marker = Buffer.from('06092b0601050507300101', 'hex');
  const octets = bytes.indexOf(marker) + marker.length;
  const basic = octets + headerLength(bytes, octets);
  const start = basic + headerLength(bytes, basic);
  return bytes.subarray(start, start + headerLength(bytes, start) + lengthOf(bytes, start));
}

function signatureAt(bytes: Buffer): number {
  const signed = signedPart(bytes);
  const algorithm = signed.byteOffset - bytes.byteOffset + signed.length;
  const bits = algorithm + headerLength(bytes, algorithm) + lengthOf(bytes, algorithm);
  return bits + headerLength(bytes, bits) + 1;
}

function headerLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function lengthOf(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? first : bytes.readUIntBE(at + 2, first & 0x7f);
}
