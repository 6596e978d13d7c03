/** The page for a browser that uses the proxy and does not trust the local CA yet: the CA, the steps, and a test. */
import { createHash, type X509Certificate } from 'node:crypto';
import type { CaState } from '../../certs/local-ca/state.ts';
import { authorityOf } from '../../core/authority.ts';
import { isSelfSigned } from '../../core/facts.ts';
import { OWN_NAME } from '../../core/own-name.ts';
import { mobileconfig } from './mobileconfig.ts';

export interface LandingFile {
  /** Content-Type, and more. Flat. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

export type LandingCa = Pick<CaState, 'anchors' | 'reach'>;

const APPLE = 'mtlsd-ca.mobileconfig';

/**
 * All that is served over plain HTTP, by path.
 * @param answer a line by which `mtlsd doctor` knows who answers
 */
export function landingFiles(ca: LandingCa, answer: string): ReadonlyMap<string, LandingFile> {
  const page = pageOf(ca, answer);
  return new Map([
    ['/', { fields: ['Content-Type', 'text/html; charset=utf-8', ...POLICY], body: Buffer.from(page) }],
    ['/check.js', { fields: ['Content-Type', 'text/javascript; charset=utf-8'], body: Buffer.from(CHECK) }],
    ...ca.anchors.flatMap(filesOf),
    [
      `/${APPLE}`,
      { fields: ['Content-Type', 'application/x-apple-aspen-config'], body: Buffer.from(mobileconfig(ca.anchors)) },
    ],
  ]);
}

/** One certificate a file: most programs install only the first of a file. */
function filesOf(certificate: X509Certificate, index: number): [string, LandingFile][] {
  const name = nameOf('mtlsd-ca', index);
  const der = { fields: ['Content-Type', 'application/x-x509-ca-cert'], body: certificate.raw };
  const pem = ['Content-Type', 'application/x-pem-file', 'Content-Disposition', `attachment; filename="${name}.pem"`];
  return [
    [`/${name}.pem`, { fields: pem, body: Buffer.from(certificate.toString()) }],
    [`/${name}.crt`, der],
    [`/${name}.cer`, der],
  ];
}

const nameOf = (file: string, index: number): string => (index === 0 ? file : file.replace('mtlsd-ca', 'mtlsd-ca-new'));

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code{overflow-wrap:anywhere}summary{font-weight:600;cursor:pointer;padding:.4rem 0}
[role=status]{border:2px solid;border-radius:.4rem;padding:.6rem .8rem;font-weight:600}
[data-trusted=yes]{border-color:#1a7f37}[data-trusted=no]{border-color:#bc4c00}`;

/** An answer of https://mtlsd.test/ comes only where its leaf is trusted: the local CA alone signs for that name. */
const CHECK = `const status = document.querySelector('[role=status]');
async function check() {
  let trusted = 'yes';
  try {
    await fetch('https://${OWN_NAME}/', { mode: 'no-cors', cache: 'no-store' });
  } catch {
    trusted = 'no';
  }
  status.dataset.trusted = trusted;
  status.textContent =
    trusted === 'yes' ? 'Trusted: this browser trusts the CA.' : 'Not trusted: this browser does not trust the CA yet.';
}
document.querySelector('button').addEventListener('click', check);
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && check());
check();
`;

const POLICY = [
  'Content-Security-Policy',
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    `connect-src https://${OWN_NAME}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy',
  'no-referrer',
];

interface Platform {
  readonly name: string;
  readonly file: string;
  /** HTML. */
  readonly steps: readonly string[];
}

// biome-ignore format: a table reads best as a table
const PLATFORMS: readonly Platform[] = [
  { name: 'iPhone and iPad', file: APPLE, steps: [
    'Open the file in Safari and allow the download of the profile.',
    'Settings, General, VPN &amp; Device Management: select the profile, then Install.',
    'Settings, General, About, Certificate Trust Settings: turn on full trust for the CA.' ] },
  { name: 'Android', file: 'mtlsd-ca.crt', steps: [
    'Download the file.',
    'Settings: search for “CA certificate”, then select Install anyway and choose the file.',
    'Chrome trusts it now. An app trusts it only if the app allows CAs of the user.' ] },
  { name: 'macOS', file: 'mtlsd-ca.crt', steps: [
    'Download the file.',
    'Run <code>security add-trusted-cert -k ~/Library/Keychains/login.keychain-db ~/Downloads/mtlsd-ca.crt</code> in Terminal.',
    'Restart the browser.' ] },
  { name: 'Windows', file: 'mtlsd-ca.cer', steps: [
    'Download the file.',
    'Run <code>certutil -user -addstore Root %USERPROFILE%\\Downloads\\mtlsd-ca.cer</code> in the command prompt.',
    'Restart the browser.' ] },
  { name: 'Firefox, on every system', file: 'mtlsd-ca.pem', steps: [
    'Download the file.',
    'Settings, Privacy &amp; Security, Certificates, View Certificates, Authorities: select Import and choose the file.',
    'Select “Trust this CA to identify websites”.' ] },
  { name: 'Chrome and Chromium on Linux', file: 'mtlsd-ca.pem', steps: [
    'Download the file.',
    'Open <code>chrome://certificate-manager</code>: Local certificates, Custom, Installed by you, Trusted Certificates.',
    'Select Import and choose the file.' ] },
  { name: 'Linux: Debian and Ubuntu', file: 'mtlsd-ca.pem', steps: [
    'Download the file.',
    'Run <code>sudo install -m 644 mtlsd-ca.pem /usr/local/share/ca-certificates/mtlsd-ca.crt</code>',
    'Run <code>sudo update-ca-certificates</code>' ] },
  { name: 'Linux: Fedora and Red Hat', file: 'mtlsd-ca.pem', steps: [
    'Download the file.',
    'Run <code>sudo install -m 644 mtlsd-ca.pem /etc/pki/ca-trust/source/anchors/</code>',
    'Run <code>sudo update-ca-trust</code>' ] },
];

function pageOf({ anchors, reach }: LandingCa, answer: string): string {
  const [first] = anchors;
  const testable = reach.permits(authorityOf(OWN_NAME, 443));
  const paragraphs = (...texts: (string | false)[]): string =>
    texts.map((text) => (text === false ? '' : `<p>${text}</p>\n`)).join('');
  const platforms = PLATFORMS.map(({ name, file, steps }) => {
    const files = file === APPLE ? [file] : anchors.map((_, index) => nameOf(file, index));
    const links = files.map((each) => `<a href="/${each}">${each}</a>`).join(', ');
    const list = steps.map((step) => `<li>${step}</li>`).join('');
    const again = files.slice(1).map((each) => `<li>Do the same with ${each}.</li>`);
    return `<details><summary>${name}</summary><p>File: ${links}</p><ol>${list}${again.join('')}</ol></details>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Trust the CA of mtlsd</title><style>${STYLE}</style></head>
<body><main><h1>Trust the CA of mtlsd</h1>
<p>This browser uses the proxy mtlsd. mtlsd answers for https websites with certificates of its own CA. Until this device trusts that CA,
the browser shows a warning for each of them.</p>
${paragraphs(
  anchors.length > 1 &&
    'This CA is being replaced by a new one. Install both. The test on this page is about the new one.',
  !isSelfSigned(first) &&
    'This CA is an intermediate. Some systems accept a root CA only: ask whoever runs this mtlsd for the root.',
)}<p role="status">${testable ? 'Not tested: this page needs JavaScript to test it.' : `Not tested: this CA may not sign for ${OWN_NAME}.`}</p>
${testable ? '<p><button type="button">Test again</button></p>\n' : ''}<h2>1. Compare the fingerprint</h2>
<p>Whoever has the key of this CA can pose as any website to you. Install it only if you know who runs this mtlsd. This page comes over
plain HTTP, so compare the SHA-256 fingerprint with what <code>mtlsd ca show</code> prints on the machine that runs mtlsd, and with what
your device shows for the file:</p>
${anchors.map(({ fingerprint256 }, index) => `<p>${anchors.length > 1 ? `${nameOf('mtlsd-ca', index)}: ` : ''}<code>${fingerprint256}</code></p>\n`).join('')}<h2>2. Install the CA</h2>
${platforms.join('\n')}
${testable ? '<h2>3. Test it</h2>\n<p>Select “Test again” above. Some browsers must be restarted first.</p>\n' : ''}<p><small>${answer}</small></p>
</main>${testable ? '<script src="/check.js" type="module"></script>' : ''}</body></html>
`;
}
