/**
 * The local CA that mtlsd makes: on the first start for this installation alone, and opened on every other. Who holds its key can
 * pose as any server to the clients that trust it, so the key is 0600, and one that others could have read or replaced
 * is refused rather than used.
 */
import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { badConfiguration } from '../../core/errors.ts';
import { basicConstraints, certificateParts, mayUseKey, OID } from '../../core/extensions.ts';
import { printable, rfc3339 } from '../../core/facts.ts';
import { createFile, writeAtomically } from '../../core/files/atomic-write.ts';
import { requireOwnFolder } from '../../core/files/own-folder.ts';
import type { Secret } from '../../core/secret.ts';
import { readIfThere, writeBundle } from './client-files.ts';
import { keyText, readCaPassphrase, readKeyFile } from './key-file.ts';
import { mint } from './mint.ts';
import { signerOf } from './signer.ts';
import type { LocalCa, LocalCaOptions } from './state.ts';
import { type CaReach, WITHOUT_LIMITS } from '../../core/ca-reach.ts';

const HOUR_MS = 3_600_000;
/**
 * Ten years: its certificate is put into trust stores by people, and a key that never leaves this machine is not made safer
 * by doing that work again each year. The limits that browsers and systems set are for leaves.
 */
const YEARS = 10;

/**
 * Opens the CA in `dir` (`ca.pem`, `ca.key`), or makes it where neither file is there; then writes `bundle.pem` where it
 * is missing. The folder is made 0700 and the key 0600 whatever the umask.
 * A key that is not encrypted is encrypted where there is a passphrase.
 * @throws MtlsdError BAD_CONFIGURATION where the key may be known to others, does not pair, is no CA or has expired; the
 *   hint says what to do
 */
export async function openMadeCa(dir: string, options: Omit<LocalCaOptions, 'own'>): Promise<LocalCa> {
  const { reach = WITHOUT_LIMITS, onNotice } = options;
  const passphrase = await readCaPassphrase(options.passphrase ?? null);
  const paths = { cert: path.join(dir, 'ca.pem'), key: path.join(dir, 'ca.key'), bundle: path.join(dir, 'bundle.pem') };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await requireOwnFolder(dir);
  const anew = `to make a new one, remove ${paths.cert} and ${paths.key}, start again, and let clients trust it instead`;
  const [stored, storedPem] = await Promise.all([readKeyFile(paths.key, passphrase, anew), readIfThere(paths.cert)]);
  const created = stored === null && storedPem === null;
  if (!created && (stored === null || storedPem === null)) {
    const [there, missing] = stored === null ? [paths.cert, paths.key] : [paths.key, paths.cert];
    throw badConfiguration(`the local CA is half there: ${missing} is missing`, `put it back, or remove ${there} too`);
  }
  const { certificate, key } =
    stored === null ? await make(paths, reach, passphrase) : check(storedPem ?? '', stored.key, paths, reach, anew);
  if (stored && !stored.encrypted && passphrase) {
    await writeAtomically(paths.key, await keyText(key, passphrase), { mode: 0o600 });
    onNotice?.(`${paths.key} was not encrypted and now is; copies of it, such as backups, are not`);
  }
  const chain = [certificate] as const;
  const current = { signer: signerOf(chain, key), anchors: chain, refused: chain, reach, chain };
  const refreshBundle = () => writeBundle(paths.bundle, current.anchors);
  if (created || (await readIfThere(paths.bundle)) === null) await refreshBundle();
  return { current, certPath: paths.cert, bundlePath: paths.bundle, refreshBundle, close() {} };
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

async function make(paths: Paths, { constraints: nameConstraints }: CaReach, passphrase: Secret | null): Promise<Pair> {
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
  if (!(await createFile(paths.key, await keyText(key, passphrase), 0o600)))
    throw badConfiguration(
      `${paths.key} appeared while it was being made`,
      'another mtlsd starts in this folder; start again',
    );
  await writeAtomically(paths.cert, certificate.toString(), { mode: 0o644 });
  return { certificate, key };
}

function check(certPem: string, key: KeyObject, paths: Paths, reach: CaReach, anew: string): Pair {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certPem);
  } catch (cause) {
    throw badConfiguration(`${paths.cert} is not a readable certificate`, anew, cause);
  }
  if (!certificate.checkPrivateKey(key)) throw badConfiguration(`${paths.key} is not the key of ${paths.cert}`, anew);
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw badConfiguration(`${paths.key} is of type ${key.asymmetricKeyType}; the local CA signs with EC or RSA`, anew);
  }
  const parts = certificateParts(certificate);
  if (basicConstraints(parts)?.ca !== true || !mayUseKey(parts, 'keyCertSign')) {
    throw badConfiguration(`${paths.cert} is not the certificate of a CA`, anew);
  }
  const constraints = parts.extensions.get(OID.nameConstraints)?.value ?? null;
  if (!(reach.constraints && constraints ? reach.constraints.equals(constraints) : reach.constraints === constraints))
    throw badConfiguration(
      `${paths.cert} ${constraints ? 'may sign for other names than ca.permitted lists' : 'may sign for every name, and ca.permitted lists some'}`,
      `set ca.permitted in mtlsd.yaml back, or ${anew}`,
    );
  const { validFromDate, validToDate } = certificate;
  if (validToDate.getTime() <= Date.now()) {
    throw badConfiguration(`the local CA expired at ${rfc3339(validToDate)}: ${paths.cert}`, anew);
  }
  if (validFromDate.getTime() > Date.now()) {
    throw badConfiguration(
      `the local CA is valid from ${rfc3339(validFromDate)} only`,
      `set this machine's clock, or ${anew}`,
    );
  }
  return { certificate, key };
}
