/** The CA as a configuration profile, the one form that iPhones and iPads install (Apple, "Configuration Profile Reference"). */
import { createHash, type X509Certificate } from 'node:crypto';
import { isSelfSigned } from '../../core/facts.ts';

/** An XML property list, unsigned. @param certificates that of today first, which the profile is named after */
export function mobileconfig(certificates: readonly [X509Certificate, ...X509Certificate[]]): string {
  const [first] = certificates;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array>${certificates.map(payload).join('')}</array>
${text('PayloadType', 'Configuration')}${common('profile', first)}
${text('PayloadDescription', 'The local CA of mtlsd. Whoever has its key can pose as any website to this device.')}
</dict></plist>
`;
}

function payload(certificate: X509Certificate): string {
  const type = isSelfSigned(certificate) ? 'com.apple.security.root' : 'com.apple.security.pkcs1';
  return `<dict>
<key>PayloadContent</key><data>${certificate.raw.toString('base64')}</data>
${text('PayloadCertificateFileName', 'mtlsd-ca.crt')}${text('PayloadType', type)}${common('ca', certificate)}
</dict>`;
}

function common(what: string, certificate: X509Certificate): string {
  const uuid = uuidOf(`${what} ${certificate.fingerprint256}`);
  return [
    text('PayloadIdentifier', `test.mtlsd.${what}.${uuid}`),
    text('PayloadUUID', uuid),
    text('PayloadDisplayName', /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? 'mtlsd local CA'),
    '<key>PayloadVersion</key><integer>1</integer>',
  ].join('');
}

const text = (key: string, value: string): string => `<key>${key}</key><string>${escaped(value)}</string>`;

/** Of the certificate, so that a second download replaces the profile and does not add one (RFC 9562 §5.8). */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytes
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    .toUpperCase();
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
