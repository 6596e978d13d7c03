/** The contents of the files that a renewal writes: of the kinds that were there, with today's encryption. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';
import { CodedError } from '../../core/errors.ts';
import { makePfx, pfxContent } from '../identity/decoder.ts';
import type { ClientIdentity } from '../identity/identity.ts';
import { partsOf } from '../identity/parts.ts';
import { readPassphrase } from '../identity/passphrase.ts';
import { type ReadFile, readIdentityFile } from '../identity/read-file.ts';
import { RenewalFault } from './fault.ts';
import type { NewFile } from './replace.ts';
import type { RenewalTarget } from './target.ts';

/**
 * @param key null where it stays as it is
 * @returns the key's file before the certificate's
 * @throws RenewalFault FILES_NOT_WRITABLE where the old files can't be read, and so not be matched
 */
export async function renderFiles(
  target: RenewalTarget,
  { chain, leaf }: ClientIdentity,
  key: KeyObject | null,
  presentKey: KeyObject,
): Promise<readonly NewFile[]> {
  try {
    const passphrase = target.passphrase && (await readPassphrase(target.passphrase));
    if (target.kind === 'pfx')
      return [{ file: target.pfx, content: await newPfx(target.pfx, chain, key ?? presentKey, passphrase) }];
    const cert = await readIdentityFile({ path: target.cert }, true);
    const certificates = isDer(cert) && chain.length === 1 ? leaf.raw : pemOf(chain);
    if (target.key === null || target.key === target.cert) {
      const together = `${pemOf(chain)}${keyPem(key ?? presentKey, isEncrypted(cert) ? passphrase : null)}`;
      return [{ file: target.cert, content: together }];
    }
    const renewed: NewFile = { file: target.cert, content: certificates };
    if (key === null) return [renewed];
    const keyFile = await readIdentityFile({ path: target.key }, true);
    return [{ file: target.key, content: keyContent(keyFile, key, passphrase) }, renewed];
  } catch (error) {
    if (error instanceof RenewalFault || !(error instanceof CodedError)) throw error;
    throw new RenewalFault('FILES_NOT_WRITABLE', error.message, { hint: error.hint, cause: error });
  }
}

const pemOf = (chain: readonly X509Certificate[]): string =>
  chain.map((certificate) => certificate.toString()).join('');

const isDer = ({ text }: ReadFile): boolean => text === null;

function isEncrypted(read: ReadFile): boolean {
  return partsOf(read, 'key').keys.some(({ form }) => form !== 'plain');
}

function keyContent(read: ReadFile, key: KeyObject, passphrase: Secret | null): string | Buffer {
  const secret = isEncrypted(read) ? passphrase : null;
  return isDer(read) ? key.export({ type: 'pkcs8', format: 'der', ...encryption(secret) }) : keyPem(key, secret);
}

function keyPem(key: KeyObject, passphrase: Secret | null): string {
  return key.export({ type: 'pkcs8', format: 'pem', ...encryption(passphrase) }).toString();
}

/** PBES2 with PBKDF2 and HMAC-SHA256, as `openssl pkcs8 -topk8` writes. */
const encryption = (passphrase: Secret | null): { cipher: string; passphrase: string } | object =>
  passphrase === null ? {} : { cipher: 'aes-256-cbc', passphrase: passphrase.reveal() };

/** Under the name that the key had. */
async function newPfx(
  file: string,
  chain: readonly X509Certificate[],
  key: KeyObject,
  passphrase: Secret | null,
): Promise<Buffer> {
  const { bytes } = await readIdentityFile({ path: file }, true);
  const { keys } = await pfxContent(bytes, passphrase, file);
  if (keys.length > 1)
    throw new RenewalFault('FILES_NOT_WRITABLE', `${file} holds several keys, and the others would be lost`, {
      hint: 'give this entry a PFX of its own',
    });
  return makePfx({
    key: key.export({ type: 'pkcs8', format: 'der' }),
    certificates: chain.map(({ raw }) => raw),
    passphrase: passphrase?.reveal() ?? '',
    friendlyName: keys[0]?.friendlyName ?? null,
  });
}
