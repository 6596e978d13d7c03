/** Enrollment over Secure Transport (RFC 7030): simpleenroll, simplereenroll, cacerts. */
import type { X509Certificate } from 'node:crypto';
import { type CaAnswer, type CaClient, refusedBy } from './ca-client.ts';
import { RenewalFault } from './fault.ts';

/** What a CA says to a request. */
export type Issued =
  | { readonly is: 'issued'; readonly certificates: readonly X509Certificate[] }
  /** RFC 7030 §4.2.3: the same request must be sent again later. */
  | { readonly is: 'pending'; readonly retryAfterMs: number | null };

const PKCS7_TYPE = 'application/pkcs7-mime';

export interface EstRequest {
  readonly operation: 'simpleenroll' | 'simplereenroll';
  /** DER. */
  readonly request: Buffer;
  /** The value of an Authorization field. */
  readonly authorization?: string;
}

/** @throws RenewalFault */
export async function enrollByEst(ca: CaClient, { operation, request, authorization }: EstRequest): Promise<Issued> {
  const answer = await ca.ask({
    method: 'POST',
    path: operation,
    headers: {
      'content-type': 'application/pkcs10',
      // RFC 8951 §3.1 drops it, and servers before that want it.
      'content-transfer-encoding': 'base64',
      accept: PKCS7_TYPE,
      ...(authorization !== undefined && { authorization }),
    },
    body: inLines(request.toString('base64')),
  });
  if (answer.status === 202) return { is: 'pending', retryAfterMs: answer.retryAfterMs };
  return { is: 'issued', certificates: await certificatesOf(ca, answer) };
}

/** The CA's own certificates (RFC 7030 §4.1), to complete a chain; they are not trusted. */
export async function estCaCertificates(ca: CaClient): Promise<readonly X509Certificate[]> {
  return certificatesOf(ca, await ca.ask({ method: 'GET', path: 'cacerts', headers: { accept: PKCS7_TYPE } }));
}

async function certificatesOf({ url }: CaClient, answer: CaAnswer): Promise<X509Certificate[]> {
  const { status, contentType, body } = answer;
  if (status !== 200) {
    // RFC 7030 §4.2.3: a human-readable reason, as text.
    throw refusedBy(url, answer, contentType === 'text/plain' ? body.toString('utf8') : '');
  }
  if (contentType !== PKCS7_TYPE)
    throw new RenewalFault('CA_ANSWER_INVALID', `${url} answered with ${contentType || 'no type'}, not ${PKCS7_TYPE}`);
  const base64 = body.toString('latin1').replaceAll(/\s+/g, '');
  if (base64 === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    throw new RenewalFault('CA_ANSWER_INVALID', `${url} answered with something that is not base64`);
  // The library that reads it is loaded when the first answer needs it: 60 ms and 16 MB.
  const { certificatesOfPkcs7 } = await import('./pkcs7.ts');
  return certificatesOfPkcs7(Buffer.from(base64, 'base64'), url);
}

/** Lines of 64 characters (RFC 2045 §6.8 allows 76). */
const inLines = (base64: string): string => `${base64.match(/.{1,64}/g)?.join('\n')}\n`;
