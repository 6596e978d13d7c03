/** The thread in which passphrases open keys and PFX files: deriving a key takes what its file says, up to seconds. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CodedError, nativeCode } from '../../core/errors.ts';
import { serveJobs } from '../../core/worker.ts';
import { Asn1Error, items, octets, parseAsn1 } from './asn1.ts';
import type { KeyPart } from './parts.ts';
import { decodeError, decrypt, decryptTraditional } from './pbe.ts';
import { toPem } from './pem.ts';
import { decodePkcs12, passwords, type PfxContent } from './pkcs12.ts';
import { encodePkcs12, type NewPfx } from './pkcs12-encode.ts';
import { encryptPkcs8 } from './pbes2-encrypt.ts';

export type DecodeJob =
  | { readonly kind: 'key'; readonly part: Exclude<KeyPart, { form: 'plain' }>; readonly passphrase: string }
  | { readonly kind: 'pfx'; readonly der: Uint8Array; readonly passphrase: string | null }
  | ({ readonly kind: 'new-pfx' } & NewPfx)
  /** PKCS#8, to be encrypted. */
  | { readonly kind: 'seal'; readonly key: Uint8Array; readonly passphrase: string };

export interface DecodeAnswer extends PfxContent {
  /** Of a `new-pfx` or `seal`. */
  readonly made?: Uint8Array;
}

/** @throws CodedError of DecodeCode */
function decode(job: DecodeJob): DecodeAnswer {
  try {
    if (job.kind === 'new-pfx') return { keys: [], certificates: [], made: encodePkcs12(job) };
    if (job.kind === 'seal') return { keys: [], certificates: [], made: encryptPkcs8(job.key, job.passphrase) };
    if (job.kind === 'pfx') return decodePkcs12(job.der, job.passphrase);
    // A Buffer arrives in this thread as a plain Uint8Array.
    const key = openKey({ ...job.part, der: Buffer.from(job.part.der) }, job.passphrase);
    return { keys: [{ der: key.export({ type: 'pkcs8', format: 'der' }), friendlyName: null }], certificates: [] };
  } catch (error) {
    if (error instanceof CodedError) throw error;
    const code = job.kind !== 'key' ? 'PFX_INVALID' : 'KEY_INVALID';
    throw decodeError(code, nativeCode(error) ?? 'unexpected structure');
  }
}

/** With Node first; with our own code what Node has dropped (RC2, single DES, PBES1 with MD5). */
function openKey(part: Exclude<KeyPart, { form: 'plain' }>, passphrase: string): KeyObject {
  try {
    return openWithNode(part, passphrase);
  } catch (error) {
    const code = nativeCode(error) ?? '';
    if (code !== 'ERR_OSSL_EVP_UNSUPPORTED' && code !== 'ERR_OSSL_UNSUPPORTED') {
      if (code === 'ERR_OSSL_BAD_DECRYPT' || passphrase === '') throw decodeError('PASSPHRASE_WRONG', 'bad decrypt');
    }
  }
  let wrong: unknown = decodeError('PASSPHRASE_WRONG', 'bad decrypt');
  for (const password of passwords(passphrase)) {
    try {
      if (part.form === 'traditional')
        return createPrivateKey({
          key: decryptTraditional(part.dekInfo, part.der, password),
          format: 'der',
          type: part.type,
        });
      const [algorithm, data] = items(parseAsn1(part.der));
      if (!algorithm) throw new Asn1Error('an algorithm is missing');
      return createPrivateKey({ key: decrypt(algorithm, octets(data), password), format: 'der', type: 'pkcs8' });
    } catch (error) {
      if (error instanceof CodedError && error.code !== 'PASSPHRASE_WRONG') throw error;
      // Random bytes that happen to have good padding are no key: the passphrase is as wrong.
      if (error instanceof Asn1Error) wrong = decodeError('KEY_INVALID', error.message);
    }
  }
  throw wrong;
}

function openWithNode(part: Exclude<KeyPart, { form: 'plain' }>, passphrase: string): KeyObject {
  if (part.form === 'encrypted') return createPrivateKey({ key: part.der, format: 'der', type: 'pkcs8', passphrase });
  const label = part.type === 'pkcs1' ? 'RSA PRIVATE KEY' : 'EC PRIVATE KEY';
  const headers = `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${part.dekInfo}\n\n`;
  return createPrivateKey({ key: toPem(label, part.der).replace('-----\n', `-----\n${headers}`), passphrase });
}

serveJobs(decode);
