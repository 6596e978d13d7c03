/**
 * Every format of client certificate files, each made at run time by the program that people get it from. `docs/formats.md`
 * lists the same names; `formats.test.ts` holds the two together.
 */

export interface Format {
  /** As in the first column of docs/formats.md. */
  readonly name: string;
  /** Shell lines that make the files out of the PKI in `ec/`, `rsa/`, `ed/`, `pss/`, … (`makePki`). */
  readonly make: string;
  readonly cert?: string;
  readonly key?: string | undefined;
  readonly pfx?: string;
  readonly alias?: string;
  readonly passphrase?: string | undefined;
  /** The diagnosis that it gets; without it, it loads and completes handshakes. */
  readonly refused?: string;
  /** Needs keytool. */
  readonly java?: true;
  /** Warnings that belong to the format. */
  readonly warnings?: readonly string[];
}

const pass = 's3cret';
const odd = 'pässwört€';

/** `{k}.key` PKCS#8, `{k}.crt` leaf, for k in ec, p384, p521, rsa, ed, pss; issued by `int.crt`, that by `root.crt`. */
export const makePki = `
set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt -subj '/O=Test/CN=Root' -days 100 -addext basicConstraints=critical,CA:TRUE
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout int.key -out int.csr -subj '/O=Test/CN=Intermediate'
printf 'basicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid' > ca.ext
openssl x509 -req -in int.csr -CA root.crt -CAkey root.key -out int.crt -days 90 -extfile ca.ext
printf 'basicConstraints=CA:FALSE\\nextendedKeyUsage=clientAuth\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid' > leaf.ext
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key
openssl genpkey -algorithm ED25519 -out ed.key
for k in ec p384 p521 rsa pss ed; do
  openssl req -new -key $k.key -out $k.csr -subj "/O=Test/CN=client $k"
  openssl x509 -req -in $k.csr -CA int.crt -CAkey int.key -out $k.leaf -days 80 -extfile leaf.ext
  cat $k.leaf int.crt > $k.crt
done
chmod 600 *.key
`;

const pem = (name: string, make: string, more: Partial<Format> = {}): Format => ({
  name,
  make,
  cert: 'ec.crt',
  key: 'f.key',
  ...more,
});
const encrypted = (name: string, make: string, more: Partial<Format> = {}): Format =>
  pem(name, make, { passphrase: pass, ...more });
const rsaPem = (name: string, make: string, more: Partial<Format> = {}): Format =>
  encrypted(name, make, { cert: 'rsa.crt', ...more });
const pfx = (name: string, flags: string, more: Partial<Format> = {}, kind = 'ec'): Format => ({
  name,
  make: `openssl pkcs12 -export -inkey ${kind}.key -in ${kind}.leaf -certfile int.crt -passout 'pass:${more.passphrase ?? pass}' -out f.p12 ${flags}`,
  pfx: 'f.p12',
  passphrase: pass,
  ...more,
});
const legacy = '-legacy -provider legacy -provider default';

export const formats: readonly Format[] = [
  // Keys, PEM
  pem('PEM, PKCS#8 key, EC P-256', 'cp ec.key f.key'),
  pem('PEM, PKCS#8 key, EC P-384', 'cp p384.key f.key', { cert: 'p384.crt' }),
  pem('PEM, PKCS#8 key, EC P-521', 'cp p521.key f.key', { cert: 'p521.crt' }),
  pem('PEM, PKCS#8 key, RSA', 'cp rsa.key f.key', { cert: 'rsa.crt' }),
  pem('PEM, PKCS#8 key, Ed25519', 'cp ed.key f.key', { cert: 'ed.crt' }),
  pem('PEM, PKCS#8 key, RSA-PSS', 'cp pss.key f.key', { cert: 'pss.crt' }),
  pem('PEM, PKCS#1 key', 'openssl rsa -in rsa.key -traditional -out f.key', { cert: 'rsa.crt' }),
  pem('PEM, SEC1 key', 'openssl ec -in ec.key -out f.key'),
  pem('PEM, SEC1 key with EC PARAMETERS', '(openssl ecparam -name prime256v1; openssl ec -in ec.key) > f.key'),
  // Keys, encrypted
  encrypted('PEM, encrypted PKCS#8, AES-256', `openssl pkcs8 -topk8 -in ec.key -passout pass:${pass} -out f.key`),
  encrypted(
    'PEM, encrypted PKCS#8, AES-128 with SHA-1',
    `openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -in ec.key -passout pass:${pass} -out f.key`,
  ),
  encrypted('PEM, encrypted PKCS#8, 3DES', `openssl pkcs8 -topk8 -v2 des3 -in ec.key -passout pass:${pass} -out f.key`),
  encrypted(
    'PEM, encrypted PKCS#8, scrypt',
    `openssl pkcs8 -topk8 -scrypt -in ec.key -passout pass:${pass} -out f.key`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBES2 with RC2',
    `openssl pkcs8 -topk8 -v2 rc2-cbc -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBES2 with single DES',
    `openssl pkcs8 -topk8 -v2 des-cbc -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-3DES',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in ec.key -passout pass:${pass} -out f.key`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-2DES',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-2DES -in ec.key -passout pass:${pass} -out f.key`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-RC2-40',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-40 -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-RC2-128',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-128 -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-MD5-DES',
    `openssl pkcs8 -topk8 -v1 PBE-MD5-DES -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-DES',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-DES -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-MD5-RC2-64',
    `openssl pkcs8 -topk8 -v1 PBE-MD5-RC2-64 -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, PBE-SHA1-RC2-64',
    `openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-64 -in ec.key -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted(
    'PEM, encrypted PKCS#8, non-ASCII passphrase',
    `openssl pkcs8 -topk8 -in ec.key -passout 'pass:${odd}' -out f.key`,
    { passphrase: odd },
  ),
  rsaPem(
    'PEM, traditional encryption, AES-256',
    `openssl rsa -in rsa.key -traditional -aes256 -passout pass:${pass} -out f.key`,
  ),
  rsaPem(
    'PEM, traditional encryption, 3DES',
    `openssl rsa -in rsa.key -traditional -des3 -passout pass:${pass} -out f.key`,
  ),
  rsaPem(
    'PEM, traditional encryption, single DES',
    `openssl rsa -in rsa.key -traditional -des -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  rsaPem(
    'PEM, traditional encryption, RC2',
    `openssl rsa -in rsa.key -traditional -rc2 -passout pass:${pass} -out f.key -provider legacy -provider default`,
  ),
  encrypted('PEM, traditional encryption, SEC1 key', `openssl ec -in ec.key -aes128 -passout pass:${pass} -out f.key`),
  // PEM as it comes
  pem('PEM, certificate and key in one file', 'cat ec.crt ec.key > f.pem && chmod 600 f.pem', {
    cert: 'f.pem',
    key: undefined,
  }),
  pem('PEM, key before the certificate in one file', 'cat ec.key ec.crt > f.pem && chmod 600 f.pem', {
    cert: 'f.pem',
    key: undefined,
  }),
  pem('PEM, leaf without its chain', 'cp ec.key f.key; cp ec.leaf f.crt', {
    cert: 'f.crt',
    warnings: ['INTERMEDIATE_MISSING'],
  }),
  pem('PEM, chain in the wrong order', 'cp ec.key f.key; cat root.crt int.crt ec.leaf > f.crt', {
    cert: 'f.crt',
    warnings: ['CHAIN_OUT_OF_ORDER'],
  }),
  pem('PEM, chain with its root', 'cp ec.key f.key; cat ec.leaf int.crt root.crt > f.crt', { cert: 'f.crt' }),
  pem('PEM, Windows line ends', "sed 's/$/\\r/' ec.key > f.key; sed 's/$/\\r/' ec.crt > f.crt; chmod 600 f.key", {
    cert: 'f.crt',
  }),
  pem(
    'PEM, byte-order mark',
    "(printf '\\xef\\xbb\\xbf'; cat ec.key) > f.key; (printf '\\xef\\xbb\\xbf'; cat ec.crt) > f.crt; chmod 600 f.key",
    { cert: 'f.crt' },
  ),
  pem(
    'PEM, UTF-16 with byte-order mark',
    "(printf '\\xff\\xfe'; iconv -t UTF-16LE ec.key) > f.key; (printf '\\xff\\xfe'; iconv -t UTF-16LE ec.crt) > f.crt; chmod 600 f.key",
    { cert: 'f.crt' },
  ),
  pem('PEM, indented', "sed 's/^/    /' ec.key > f.key; sed 's/^/    /' ec.crt > f.crt; chmod 600 f.key", {
    cert: 'f.crt',
  }),
  pem(
    'PEM, "Bag Attributes" between blocks',
    `openssl pkcs12 -export -inkey ec.key -in ec.crt -passout pass:x -out t.p12 && openssl pkcs12 -in t.p12 -passin pass:x -nodes -out f.pem && chmod 600 f.pem`,
    { cert: 'f.pem', key: undefined },
  ),
  pem(
    'PEM, TRUSTED CERTIFICATE',
    'cp ec.key f.key; (openssl x509 -in ec.leaf -trustout -addtrust clientAuth -setalias me; cat int.crt) > f.crt',
    { cert: 'f.crt' },
  ),
  pem(
    'PEM, text of openssl x509 -text in front',
    'cp ec.key f.key; (openssl x509 -in ec.leaf -text; cat int.crt) > f.crt',
    { cert: 'f.crt' },
  ),
  // DER
  pem(
    'DER certificate and PKCS#8 key',
    'openssl pkcs8 -topk8 -nocrypt -in ec.key -outform DER -out f.key; openssl x509 -in ec.leaf -outform DER -out f.cer; chmod 600 f.key',
    { cert: 'f.cer', warnings: ['INTERMEDIATE_MISSING'] },
  ),
  pem(
    'DER, PKCS#1 key',
    'openssl rsa -in rsa.key -traditional -outform DER -out f.key; openssl x509 -in rsa.leaf -outform DER -out f.cer; chmod 600 f.key',
    { cert: 'f.cer', warnings: ['INTERMEDIATE_MISSING'] },
  ),
  pem('DER, SEC1 key', 'openssl ec -in ec.key -outform DER -out f.key; chmod 600 f.key'),
  encrypted(
    'DER, encrypted PKCS#8',
    `openssl pkcs8 -topk8 -in ec.key -passout pass:${pass} -outform DER -out f.key; chmod 600 f.key`,
  ),
  // PFX
  pfx('PFX, AES-256 (OpenSSL 3)', ''),
  pfx('PFX, RSA key', '', {}, 'rsa'),
  pfx('PFX, Ed25519 key', '', {}, 'ed'),
  pfx('PFX, RSA-PSS key', '', {}, 'pss'),
  pfx('PFX, RC2-40 and 3DES (OpenSSL 1, Windows, Java 8)', legacy),
  pfx('PFX, RC2-40 for the key as well', `${legacy} -keypbe PBE-SHA1-RC2-40`, {}, 'rsa'),
  pfx('PFX, RC2-128', `${legacy} -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-128`),
  pfx('PFX, 3DES', '-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1'),
  pfx('PFX, AES-128 with a SHA-1 MAC', '-keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha1'),
  pfx('PFX, SHA-512 MAC', '-macalg sha512'),
  pfx('PFX, without a MAC', '-nomac'),
  pfx('PFX, unencrypted with a MAC', '-keypbe NONE -certpbe NONE'),
  pfx('PFX, empty passphrase, modern', '', { passphrase: '' }),
  pfx('PFX, empty passphrase, RC2', legacy, { passphrase: '' }),
  { ...pfx('PFX, empty passphrase, none in the entry', '', { passphrase: '' }), passphrase: undefined },
  pfx('PFX, non-ASCII passphrase, modern', '', { passphrase: odd }),
  pfx('PFX, non-ASCII passphrase, RC2', legacy, { passphrase: odd }),
  pfx('PFX, 200,000 rounds', '-iter 200000 -macalg sha512'),
  pfx('PFX, with its root', '-certfile chain.crt', {
    make: `cat int.crt root.crt > chain.crt; openssl pkcs12 -export -inkey ec.key -in ec.leaf -certfile chain.crt -passout pass:${pass} -out f.p12`,
  }),
  pfx('PFX, friendly name', "-name 'my certificate'"),
  {
    name: 'PFX, of keytool',
    java: true,
    make: `rm -f f.p12; openssl pkcs12 -export -inkey ec.key -in ec.crt -name one -passout pass:${pass} -out t.p12
keytool -importkeystore -srckeystore t.p12 -srcstoretype PKCS12 -srcstorepass ${pass} -destkeystore f.p12 -deststoretype PKCS12 -deststorepass ${pass} -noprompt`,
    pfx: 'f.p12',
    passphrase: pass,
  },
  {
    name: 'PFX, of keytool, as Java 8 made it',
    java: true,
    make: `rm -f f.p12; openssl pkcs12 -export -inkey ec.key -in ec.crt -name one -passout pass:${pass} -out t.p12
keytool -J-Dkeystore.pkcs12.legacy -importkeystore -srckeystore t.p12 -srcstoretype PKCS12 -srcstorepass ${pass} -destkeystore f.p12 -deststoretype PKCS12 -deststorepass ${pass} -noprompt`,
    pfx: 'f.p12',
    passphrase: pass,
  },
  {
    name: 'PFX, several keys',
    java: true,
    make: `rm -f f.p12; for k in rsa ec; do openssl pkcs12 -export -inkey $k.key -in $k.crt -name $k -passout pass:${pass} -out t.p12
keytool -importkeystore -srckeystore t.p12 -srcstoretype PKCS12 -srcstorepass ${pass} -destkeystore f.p12 -deststoretype PKCS12 -deststorepass ${pass} -noprompt; done`,
    pfx: 'f.p12',
    passphrase: pass,
    alias: 'EC',
  },
  // What does not load
  pfx('PFX, RC4', `${legacy} -keypbe PBE-SHA1-RC4-128 -certpbe PBE-SHA1-RC4-128`, {
    refused: 'ENCRYPTION_UNSUPPORTED',
  }),
  {
    name: 'Java keystore (JKS)',
    java: true,
    make: `rm -f f.jks; keytool -genkeypair -alias a -keyalg EC -dname CN=a -keystore f.jks -storetype JKS -storepass ${pass} -keypass ${pass}`,
    pfx: 'f.jks',
    passphrase: pass,
    refused: 'JAVA_KEYSTORE',
  },
  {
    name: 'Java keystore (JCEKS)',
    java: true,
    make: `rm -f f.jks; keytool -genkeypair -alias a -keyalg EC -dname CN=a -keystore f.jks -storetype JCEKS -storepass ${pass} -keypass ${pass}`,
    pfx: 'f.jks',
    passphrase: pass,
    refused: 'JAVA_KEYSTORE',
  },
  pem('OpenSSH private key', "rm -f f.key; ssh-keygen -q -t ecdsa -N '' -f f.key", { refused: 'OPENSSH_KEY' }),
  pem('PuTTY private key', "printf 'PuTTY-User-Key-File-3: ssh-ed25519\\nEncryption: none\\n' > f.key", {
    refused: 'PUTTY_KEY',
  }),
  pem('PKCS#7 (.p7b)', 'openssl crl2pkcs7 -nocrl -certfile ec.crt -outform DER -out f.p7b; cp ec.key f.key', {
    cert: 'f.p7b',
    refused: 'PKCS7_FILE',
  }),
  pem(
    'DSA key',
    'openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.params; openssl genpkey -paramfile dsa.params -out f.key',
    { refused: 'WRONG_KIND' },
  ),
];
