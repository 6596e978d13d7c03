/** The API of step-ca: renew, rekey, sign, roots. */
import { X509Certificate } from 'node:crypto';
import { tryOr } from '../../core/try-or.ts';
import { pemBlocks, toPem } from '../identity/pem.ts';
import { type CaAnswer, type CaClient, refusedBy } from './ca-client.ts';
import { RenewalFault } from './fault.ts';

const MOST_CERTIFICATES = 16;

/** The same key and names, a new lifetime. */
export async function renewByStep(ca: CaClient): Promise<readonly X509Certificate[]> {
  return chainOf(ca, await ca.ask({ method: 'POST', path: 'renew' }));
}

/** A new key, the same names. @param request PKCS#10, DER */
export async function rekeyByStep(ca: CaClient, request: Buffer): Promise<readonly X509Certificate[]> {
  return chainOf(ca, await post(ca, 'rekey', { csr: toPem('CERTIFICATE REQUEST', request) }));
}

/** A first certificate. @param token one-time, of a provisioner */
export async function signByStep(ca: CaClient, request: Buffer, token: string): Promise<readonly X509Certificate[]> {
  return chainOf(ca, await post(ca, 'sign', { csr: toPem('CERTIFICATE REQUEST', request), ott: token }));
}

/** The roots of the CA, to complete a chain with. */
export async function stepRoots(ca: CaClient): Promise<readonly X509Certificate[]> {
  const { crts } = jsonOf(ca, await ca.ask({ method: 'GET', path: 'roots' }));
  return certificatesOf(ca, Array.isArray(crts) ? crts : []);
}

function post(ca: CaClient, path: string, body: object): Promise<CaAnswer> {
  return ca.ask({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

function chainOf(ca: CaClient, answer: CaAnswer): X509Certificate[] {
  const { crt, ca: issuer, certChain } = jsonOf(ca, answer);
  return certificatesOf(ca, Array.isArray(certChain) ? certChain : [crt, issuer]);
}

function certificatesOf({ url }: CaClient, pems: readonly unknown[]): X509Certificate[] {
  const blocks = pems.slice(0, MOST_CERTIFICATES).map((pem) => (typeof pem === 'string' ? pem : ''));
  try {
    const certificates = blocks
      .flatMap((pem) => pemBlocks(pem, url))
      .slice(0, MOST_CERTIFICATES)
      .map(({ der }) => new X509Certificate(der));
    if (certificates.length > 0) return certificates;
  } catch (error) {
    throw new RenewalFault('CA_ANSWER_INVALID', `${url} answered with a certificate that is damaged`, { cause: error });
  }
  throw new RenewalFault('CA_ANSWER_INVALID', `${url} answered without a certificate`);
}

function jsonOf({ url }: CaClient, answer: CaAnswer): Readonly<Record<string, unknown>> {
  const json: unknown = tryOr(() => JSON.parse(answer.body.toString('utf8')), null);
  const fields = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : null;
  if (answer.status !== 200 && answer.status !== 201)
    throw refusedBy(url, answer, typeof fields?.['message'] === 'string' ? fields['message'] : '');
  if (fields === null) throw new RenewalFault('CA_ANSWER_INVALID', `${url} answered with something that is not JSON`);
  return fields;
}
