/** The certificates of a certs-only PKCS#7 (RFC 5652 §5.1, RFC 7030 §4.1.3). */
import { X509Certificate } from 'node:crypto';
import { ContentInfo, id_signedData, SignedData } from '@peculiar/asn1-cms';
import { AsnConvert } from '@peculiar/asn1-schema';
import { bitString, sequence } from '../../core/der-writer.ts';
import { RenewalFault } from './fault.ts';

/** A chain has four; the list of a CA's own certificates a few more. */
const MOST_CERTIFICATES = 64;

/**
 * Byte for byte as they were signed, in the order of the message.
 * @param from the sender, for the message
 * @throws RenewalFault CA_ANSWER_INVALID
 */
export function certificatesOfPkcs7(der: Buffer, from: string): X509Certificate[] {
  let certificates: X509Certificate[];
  try {
    const { contentType, content } = AsnConvert.parse(der, ContentInfo);
    if (contentType !== id_signedData) throw invalid(`${from} sent a PKCS#7 message that is not certs-only`);
    const choices = AsnConvert.parse(content, SignedData).certificates ?? [];
    certificates = [...choices].slice(0, MOST_CERTIFICATES).flatMap(({ certificate }) => {
      if (certificate?.tbsCertificateRaw === undefined) return [];
      const { tbsCertificateRaw, signatureAlgorithm, signatureValue } = certificate;
      const parts = [tbsCertificateRaw, AsnConvert.serialize(signatureAlgorithm)].map((part) => Buffer.from(part));
      return new X509Certificate(sequence(...parts, bitString(Buffer.from(signatureValue))));
    });
  } catch (error) {
    if (error instanceof RenewalFault) throw error;
    throw invalid(`${from} sent something that is not a PKCS#7 message`, error);
  }
  if (certificates.length === 0) throw invalid(`${from} sent a PKCS#7 message without a certificate`);
  return certificates;
}

function invalid(message: string, cause?: unknown): RenewalFault {
  return new RenewalFault('CA_ANSWER_INVALID', message, { cause });
}
