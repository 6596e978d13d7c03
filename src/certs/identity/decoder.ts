/** Opens what is encrypted. First form: in this thread; PFX follows. */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { nativeCode } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { Unusable } from './diagnosis.ts';
import type { Diagnosis } from './identity.ts';
import type { KeyPart } from './parts.ts';
import { toPem } from './pem.ts';

export async function decryptKey(
  part: Exclude<KeyPart, { form: 'plain' }>,
  passphrase: Secret,
  file: string,
): Promise<KeyObject> {
  try {
    if (part.form === 'encrypted')
      return createPrivateKey({ key: part.der, format: 'der', type: 'pkcs8', passphrase: passphrase.reveal() });
    const label = part.type === 'pkcs1' ? 'RSA PRIVATE KEY' : 'EC PRIVATE KEY';
    const pem = toPem(label, part.der).replace(
      '-----\n',
      `-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: ${part.dekInfo}\n\n`,
    );
    return createPrivateKey({ key: pem, passphrase: passphrase.reveal() });
  } catch (error) {
    if (nativeCode(error) === 'ERR_OSSL_EVP_UNSUPPORTED')
      throw new Unusable(
        'ENCRYPTION_UNSUPPORTED',
        file,
        `the key in ${file} is encrypted with an algorithm that is not supported`,
        'encrypt it again: openssl pkcs8 -topk8',
      );
    throw new Unusable(
      'PASSPHRASE_WRONG',
      file,
      `the passphrase does not open the key in ${file}`,
      'check the passphrase of the entry',
    );
  }
}

export async function decodePfx(
  _bytes: Buffer,
  _passphrase: Secret | null,
  file: string,
  _alias: string | null,
  _problems: Diagnosis[],
): Promise<{ key: KeyObject; certificates: readonly X509Certificate[] }> {
  throw new Unusable('PFX_INVALID', file, `${file} can't be read yet`, 'use cert: and key:');
}
