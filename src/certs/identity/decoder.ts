/** Opens what is encrypted, and picks the key of a PFX. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { CodedError } from '../../core/errors.ts';
import { certificateFacts, printable } from '../../core/facts.ts';
import type { Secret } from '../../core/secret.ts';
import { WorkerThread } from '../../core/worker.ts';
import { diagnosis, shellWord, unusable } from './diagnosis.ts';
import type { DecodeAnswer, DecodeJob } from './decode-worker.ts';
import type { Diagnosis } from './identity.ts';
import { keyOf } from './keys.ts';
import { certificateOf, type KeyPart } from './parts.ts';
import type { DecodeCode } from './pbe.ts';
import { toPem } from './pem.ts';
import type { PfxContent } from './pkcs12.ts';
import type { NewPfx } from './pkcs12-encode.ts';

/** One for the process: it holds nothing between two jobs, and ends when it is idle. */
const thread = new WorkerThread<DecodeJob, DecodeAnswer>(new URL('./decode-worker.ts', import.meta.url), {
  // Five million rounds of SHA-512, the most that is tried, take about 4 s.
  timeLimitMs: 10_000,
  // The largest file that is read has 1 MiB, and its tree a hundred times that.
  memoryLimitMb: 256,
});

/** @throws CodedError PASSPHRASE_WRONG, ENCRYPTION_UNSUPPORTED, DECRYPTION_TOO_COSTLY, KEY_INVALID */
export async function decryptKey(
  part: Exclude<KeyPart, { form: 'plain' }>,
  passphrase: Secret,
  file: string,
): Promise<KeyObject> {
  const job = { kind: 'key', part, passphrase: passphrase.reveal() } as const;
  const { keys } = await decode(job, file, true);
  return keyOf(keys[0]?.der ?? new Uint8Array(), 'pkcs8', file);
}

export interface PfxIdentity {
  readonly key: KeyObject;
  /** Those of the chosen key and its issuers; what belongs to other keys is left out. */
  readonly certificates: readonly X509Certificate[];
}

/**
 * @param alias friendly name of the wanted key
 * @param problems gets SEVERAL_KEYS
 * @throws CodedError the above, and PASSPHRASE_MISSING, PFX_INVALID, KEY_MISSING, CERTIFICATE_MISSING, ALIAS_UNKNOWN
 */
export async function decodePfx(
  bytes: Buffer,
  passphrase: Secret | null,
  file: string,
  alias: string | null,
  problems: Diagnosis[],
): Promise<PfxIdentity> {
  return chooseKey(await pfxContent(bytes, passphrase, file), file, alias, problems);
}

/** @throws CodedError as of decodePfx */
export function pfxContent(bytes: Buffer, passphrase: Secret | null, file: string): Promise<PfxContent> {
  const job = { kind: 'pfx', der: bytes, passphrase: passphrase?.reveal() ?? null } as const;
  return decode(job, file, passphrase !== null);
}

/** A new PFX with one key. */
export async function makePfx(pfx: NewPfx): Promise<Buffer> {
  const answer = await thread.run({ kind: 'new-pfx', ...pfx });
  return Buffer.from(answer.made ?? []);
}

/** The key as encrypted PKCS#8, PEM. */
export async function sealKey(key: KeyObject, passphrase: Secret): Promise<string> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const answer = await thread.run({ kind: 'seal', key: der, passphrase: passphrase.reveal() });
  return toPem('ENCRYPTED PRIVATE KEY', answer.made ?? new Uint8Array());
}

async function decode(job: DecodeJob, file: string, given: boolean): Promise<PfxContent> {
  try {
    return await thread.run(job);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const code = error.code === 'TOO_COSTLY' ? 'DECRYPTION_TOO_COSTLY' : (error.code as DecodeCode);
    throw faultOf(code, error.message, file, job.kind === 'key' ? 'key' : 'PFX', given);
  }
}

interface Candidate extends PfxIdentity {
  readonly name: string;
  readonly leaf: X509Certificate | undefined;
}

function chooseKey(content: PfxContent, file: string, alias: string | null, problems: Diagnosis[]): PfxIdentity {
  if (content.keys.length === 0)
    throw unusable(
      'KEY_MISSING',
      file,
      `${file} holds no private key, only certificates`,
      'export it again with its private key',
    );
  if (content.certificates.length === 0)
    throw unusable(
      'CERTIFICATE_MISSING',
      file,
      `${file} holds a private key and no certificate`,
      'export it again with its certificate',
    );
  const certificates = content.certificates.map(({ der, friendlyName }) => ({
    certificate: certificateOf(Buffer.from(der), file),
    friendlyName,
  }));
  const keys = content.keys.map((item) => {
    const key = keyOf(item.der, 'pkcs8', file);
    const own = certificates.find(({ certificate }) => certificate.checkPrivateKey(key));
    const name =
      item.friendlyName ??
      own?.friendlyName ??
      (own ? certificateFacts(own.certificate).subject : 'a key without a certificate');
    return { key, leaf: own?.certificate, name: printable(name, 200) };
  });
  const leaves = new Set(keys.map(({ leaf }) => leaf));
  const candidates = keys.map((key): Candidate => {
    const rest = certificates
      .map(({ certificate }) => certificate)
      .filter((certificate) => certificate !== key.leaf && !leaves.has(certificate));
    return { ...key, certificates: key.leaf ? [key.leaf, ...rest] : rest };
  });
  return pick(candidates, file, alias, problems);
}

function pick(candidates: readonly Candidate[], file: string, alias: string | null, problems: Diagnosis[]): Candidate {
  const names = candidates.map(({ name }) => name).join('; ');
  if (alias !== null) {
    // Java lowers the case of aliases.
    const named = candidates.find(({ name }) => name.toLowerCase() === alias.toLowerCase());
    if (!named)
      throw unusable(
        'ALIAS_UNKNOWN',
        file,
        `${file} holds no key named ${JSON.stringify(alias)}; it holds ${names}`,
        'write one of these under alias:',
      );
    return named;
  }
  const best =
    candidates.find(({ leaf }) => leaf && isCurrent(leaf)) ?? candidates.find(({ leaf }) => leaf) ?? candidates[0];
  if (!best)
    throw unusable('KEY_MISSING', file, `${file} holds no private key`, 'export it again with its private key');
  if (candidates.length > 1)
    problems.push(
      diagnosis(
        'SEVERAL_KEYS',
        file,
        `${file} holds ${candidates.length} keys: ${names}; ${best.name} is used`,
        'choose one with alias: NAME in the entry',
      ),
    );
  return best;
}

function isCurrent(leaf: X509Certificate): boolean {
  const now = new Date();
  return !leaf.ca && leaf.validFromDate <= now && now <= leaf.validToDate;
}

function faultOf(code: DecodeCode, detail: string, file: string, what: 'key' | 'PFX', given: boolean): CodedError {
  const f = shellWord(file);
  const again =
    what === 'key'
      ? `openssl pkcs8 -topk8 -in ${f} -out ${shellWord(`${file}.new`)} -provider legacy -provider default`
      : `openssl pkcs12 -legacy -in ${f} -nodes -out ${shellWord(`${file}.pem`)}, then use that as cert`;
  // biome-ignore format: a table reads best as a table
  const faults: Record<DecodeCode, readonly [message: string, hint: string]> = {
    PASSPHRASE_WRONG: [`the passphrase does not open the ${what} in ${file}`, `check the passphrase: ${what === 'key' ? `openssl pkey -in ${f} -noout` : `openssl pkcs12 -in ${f} -noout`}`],
    ENCRYPTION_UNSUPPORTED: [`the ${what} in ${file} is encrypted in a way that is not supported: ${detail}`, `encrypt it anew: ${again}`],
    DECRYPTION_TOO_COSTLY: [`opening the ${what} in ${file} takes too much: ${detail}`, `encrypt it anew with fewer rounds: ${again}`],
    PFX_INVALID: [`${file} is a damaged PFX: ${detail}`, 'copy the file again, as it was handed out'],
    KEY_INVALID: [`the private key in ${file} is damaged or of a kind that TLS has no use for`, 'copy the file again, as it was handed out'],
  };
  if (code === 'PASSPHRASE_WRONG' && !given) {
    return unusable(
      'PASSPHRASE_MISSING',
      file,
      `${file} needs a passphrase, and there is none for it`,
      'add passphrase: { env: NAME }, { file: PATH } or { command: [...] }',
    );
  }
  const [message, hint] = faults[code];
  return unusable(code, file, message, hint);
}
