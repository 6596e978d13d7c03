/** The CA as a configuration profile, the one form that iPhones and iPads install (Apple, "Configuration Profile Reference"). */
import { createHash, type X509Certificate } from 'node:crypto';
import { isSelfSigned } from '../../core/facts.ts';

/** An XML property list, unsigned. */
export function mobileconfig(certificate: X509Certificate): string {
  const type = isSelfSigned(certificate) ? 'com.apple.security.root' : 'com.apple.security.pkcs1';
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? 'mtlsd local CA';
  const uuid = (what: string): string => uuidOf(`${what} ${certificate.fingerprint256}`);
  const text = (key: string, value: string): string => `<key>${key}</key><string>${escaped(value)}</string>`;
  const common = (what: string): string =>
    [
      text('PayloadIdentifier', `test.mtlsd.${what}.${uuid(what)}`),
      text('PayloadUUID', uuid(what)),
      text('PayloadDisplayName', name),
      '<key>PayloadVersion</key><integer>1</integer>',
    ].join('');
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array><dict>
<key>PayloadContent</key><data>${certificate.raw.toString('base64')}</data>
${text('PayloadCertificateFileName', 'mtlsd-ca.crt')}${text('PayloadType', type)}${common('ca')}
</dict></array>
${text('PayloadType', 'Configuration')}${common('profile')}
${text('PayloadDescription', 'The local CA of mtlsd. Whoever has its key can pose as any website to this device.')}
</dict></plist>
`;
}

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
