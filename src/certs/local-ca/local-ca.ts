/**
 * The local CA: made on the first start for this installation alone, and opened on every other. Who holds its key can
 * pose as any server to the clients that trust it, so the key is 0600, and one that others could have read or replaced
 * is refused rather than used.
 */
import { createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { basicConstraints, certificateParts, mayUseKey, OID } from '../../core/extensions.ts';
import { printable, rfc3339 } from '../../core/facts.ts';
import { createFile, writeAtomically } from '../../core/files/atomic-write.ts';
import { octal, requireOwnFolder } from '../../core/files/own-folder.ts';
import { loadTrust } from '../trust.ts';
import { type Issuer, issuerOf, mint } from './mint.ts';
import { type CaReach, WITHOUT_LIMITS } from '../../core/ca-reach.ts';

export interface LocalCa {
  readonly certificate: X509Certificate;
  readonly certPem: string;
  /** Signs leaves. Holds the private key. */
  readonly issuer: Issuer;
  /** Whether it has name constraints. */
  readonly constrained: boolean;
  /** Made by this call: nobody trusts it yet. */
  readonly created: boolean;
  readonly certPath: string;
  /** System anchors and the local CA, for clients that replace their bundle. */
  readonly bundlePath: string;
  /** Writes the bundle again where the system's anchors have changed since. */
  refreshBundle(): Promise<void>;
}

const HOUR_MS = 3_600_000;
/**
 * Ten years: its certificate is put into trust stores by people, and a key that never leaves this machine is not made safer
 * by doing that work again each year. The limits that browsers and systems set are for leaves.
 */
const YEARS = 10;

/**
 * Opens the CA in `dir` (`ca.pem`, `ca.key`), or makes it where neither file is there; then writes `bundle.pem` where it
 * is missing. The folder is made 0700 and the key 0600 whatever the umask.
 * @param reach what it may sign for; one that is there must have just these limits
 * @throws MtlsdError BAD_CONFIGURATION where the key may be known to others, does not pair, is no CA or has expired; the
 *   hint says what to do
 */
export async function openLocalCa(dir: string, reach: CaReach = WITHOUT_LIMITS): Promise<LocalCa> {
  const paths = { cert: path.join(dir, 'ca.pem'), key: path.join(dir, 'ca.key'), bundle: path.join(dir, 'bundle.pem') };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await requireOwnFolder(dir);
  const [keyPem, storedPem] = await Promise.all([readKey(paths.key), readIfThere(paths.cert)]);
  const created = keyPem === null && storedPem === null;
  if (!created && (keyPem === null || storedPem === null)) {
    const [there, missing] = keyPem === null ? [paths.cert, paths.key] : [paths.key, paths.cert];
    throw refused(`the local CA is half there: ${missing} is missing`, `put it back, or remove ${there} too`);
  }
  const { certificate, key } = created ? await make(paths, reach) : check(storedPem ?? '', keyPem ?? '', paths, reach);
  const certPem = certificate.toString();
  const refreshBundle = () => writeBundle(paths.bundle, certificate);
  if (created || (await readIfThere(paths.bundle)) === null) await refreshBundle();
  const issuer = issuerOf(certificate, key);
  const constrained = reach.constraints !== null;
  return {
    certificate,
    certPem,
    issuer,
    constrained,
    created,
    certPath: paths.cert,
    bundlePath: paths.bundle,
    refreshBundle,
  };
}

interface Paths {
  readonly cert: string;
  readonly key: string;
  readonly bundle: string;
}

interface Pair {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

async function make(paths: Paths, { constraints: nameConstraints }: CaReach): Promise<Pair> {
  const { publicKey, privateKey: key } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const notBefore = new Date(now - HOUR_MS); // clocks differ, and a client's may be behind
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + YEARS);
  // Host and date tell two installations apart in a trust store. RFC 5280 ub-common-name is 64.
  const day = new Date(now).toISOString().slice(0, 10);
  const host = printable(os.hostname()).slice(0, 64 - `mtlsd local CA (, ${day})`.length);
  const subject = { organization: 'mtlsd', commonName: `mtlsd local CA (${host}, ${day})` };
  const certificate = mint({ subject, publicKey, key, notBefore, notAfter, ca: { pathLength: 0, nameConstraints } });
  // O_EXCL: of two starts at once one makes the key, and the other fails rather than write over it.
  if (!(await createFile(paths.key, key.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)))
    throw refused(`${paths.key} appeared while it was being made`, 'another mtlsd starts in this folder; start again');
  await writeAtomically(paths.cert, certificate.toString(), { mode: 0o644 });
  return { certificate, key };
}

function check(certPem: string, keyPem: string, paths: Paths, reach: CaReach): Pair {
  const anew = `to make a new one, remove ${paths.cert} and ${paths.key}, start again, and let clients trust it instead`;
  const certificate = parse(() => new X509Certificate(certPem), `${paths.cert} is not a readable certificate`, anew);
  const key = parse(() => createPrivateKey(keyPem), `${paths.key} is not a readable unencrypted private key`, anew);
  if (!certificate.checkPrivateKey(key)) throw refused(`${paths.key} is not the key of ${paths.cert}`, anew);
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw refused(`${paths.key} is of type ${key.asymmetricKeyType}; the local CA signs with EC or RSA`, anew);
  }
  const parts = certificateParts(certificate);
  if (basicConstraints(parts)?.ca !== true || !mayUseKey(parts, 'keyCertSign')) {
    throw refused(`${paths.cert} is not the certificate of a CA`, anew);
  }
  const constraints = parts.extensions.get(OID.nameConstraints)?.value ?? null;
  if (!(reach.constraints && constraints ? reach.constraints.equals(constraints) : reach.constraints === constraints))
    throw refused(
      `${paths.cert} ${constraints ? 'may sign for other names than ca.permitted lists' : 'may sign for every name, and ca.permitted lists some'}`,
      `set ca.permitted in mtlsd.yaml back, or ${anew}`,
    );
  const { validFromDate, validToDate } = certificate;
  if (validToDate.getTime() <= Date.now()) {
    throw refused(`the local CA expired at ${rfc3339(validToDate)}: ${paths.cert}`, anew);
  }
  if (validFromDate.getTime() > Date.now()) {
    throw refused(`the local CA is valid from ${rfc3339(validFromDate)} only`, `set this machine's clock, or ${anew}`);
  }
  return { certificate, key };
}

function parse<T>(reading: () => T, message: string, hint: string): T {
  try {
    return reading();
  } catch (cause) {
    throw refused(message, hint, cause);
  }
}

function refused(message: string, hint: string, cause?: unknown): MtlsdError {
  return new MtlsdError('BAD_CONFIGURATION', message, { hint, cause });
}

/** null where it isn't there. The open file is checked, not its name, so that nothing is swapped in between. */
async function readKey(file: string): Promise<string | null> {
  const handle = await open(file, constants.O_RDONLY).catch((error: unknown) => {
    if (nativeCode(error) === 'ENOENT') return null;
    throw refused(`${file} can't be read`, `check that you own it: ls -l ${file}`, error);
  });
  if (!handle) return null;
  try {
    const { mode, uid } = await handle.stat();
    if (process.platform !== 'win32') {
      if (uid !== process.getuid?.()) {
        throw refused(`${file} belongs to another user`, `run mtlsd as its owner, or: chown it to yourself`);
      }
      if (mode & 0o077) {
        throw refused(
          `${file} can be used by others (mode ${octal(mode)}), who could pose as any server to your clients`,
          `if nobody could have read it: chmod 600 ${file}; else remove it and ca.pem, and trust the new CA`,
        );
      }
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function readIfThere(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (nativeCode(error) === 'ENOENT') return null;
    throw error;
  });
}

async function writeBundle(file: string, certificate: X509Certificate): Promise<void> {
  // A daemon started inside `mtlsd env` finds its own bundle in SSL_CERT_FILE, and with it the local CA.
  const system = loadTrust({ system: true, ca: [] }).certificates;
  const others = system.filter((anchor) => anchor.fingerprint256 !== certificate.fingerprint256);
  const bundle = [...others, certificate].map((anchor) => anchor.toString()).join('');
  if ((await readIfThere(file)) !== bundle) await writeAtomically(file, bundle, { mode: 0o644 });
}
