/** The files of a request, by path or by content: checked first, then stored and named. */
import path from 'node:path';
import { type IdentitySource, loadIdentity } from '../certs/identity/load.ts';
import type { PassphraseSource } from '../certs/identity/passphrase.ts';
import type { FileSource } from '../certs/identity/read-file.ts';
import { materialSource } from '../certs/store/material.ts';
import type { PassphraseFields } from '../certs/store/schema.ts';
import type { EntrySource } from '../certs/store/snapshot.ts';
import { Secret } from '../core/secret.ts';
import { AdminError } from './problem.ts';
import type { EntryPatch, InspectBody } from './schemas/certificate.ts';
import type { Uploads } from './uploads.ts';

/** Of an entry, a patch or an inspection; null takes a field out. */
export type InputFields = Pick<EntryPatch, keyof InspectBody>;

const MAIN = ['cert', 'cert_pem', 'pfx', 'pfx_base64'] as const;

/** @throws AdminError 400 where fields exclude each other, or none names a certificate */
export function refuseContradiction(body: InputFields, needsMain: boolean): void {
  const main = MAIN.filter((field) => isGiven(body[field]));
  if (main.length > 1) throw contradiction(`${main.join(' and ')} are both given`);
  if (needsMain && main.length === 0) throw contradiction(`none of ${MAIN.join(', ')} is given`);
  const key = (['key', 'key_pem'] as const).filter((field) => isGiven(body[field]));
  if (key.length > 1) throw contradiction('key and key_pem are both given');
  if (key.length > 0 && (main[0] === 'pfx' || main[0] === 'pfx_base64'))
    throw contradiction(`${key[0]} does not go with ${main[0]}, which holds its own key`);
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

function contradiction(what: string): AdminError {
  return new AdminError('BAD_REQUEST', what, 'give cert (and key), cert_pem (and key_pem), pfx or pfx_base64');
}

/**
 * What the entry would be loaded from.
 * @param before of the current entry, for fields that are left out
 * @returns null where the passphrase is in certificates.yaml, which only the store reads
 */
export function sourceOf(fields: InputFields, before: EntrySource | null, home: string): IdentitySource | null {
  const changed = withoutOpposite(fields, before);
  const pick = (name: 'cert' | 'key' | 'pfx', upload: string | null | undefined, bytes: () => FileSource) => {
    if (typeof upload === 'string') return bytes();
    return materialSource(name in changed ? (changed[name] ?? null) : (before?.[name] ?? null), home);
  };
  const { cert_pem, key_pem, pfx_base64 } = fields;
  const passphrase = passphraseOf(fields.passphrase, before, home);
  if (passphrase === 'unknown') return null;
  return {
    cert: pick('cert', cert_pem, () => ({ bytes: Buffer.from(cert_pem ?? ''), label: 'cert_pem' })),
    key: pick('key', key_pem, () => ({ bytes: Buffer.from(key_pem ?? ''), label: 'key_pem' })),
    pfx: pick('pfx', pfx_base64, () => ({ bytes: Buffer.from(pfx_base64 ?? '', 'base64'), label: 'pfx_base64' })),
    alias: ('alias' in changed ? changed.alias : before?.alias) ?? null,
    passphrase,
  };
}

/** A PFX takes the place of certificate and key, and the other way round; a PEM with its key in it the key's. */
export function withoutOpposite<T extends InputFields>(fields: T, before: EntrySource | null): T {
  if (!before) return fields;
  const { pfx, pfx_base64, cert, cert_pem, key, key_pem } = fields;
  if (pfx ?? pfx_base64) return { ...fields, cert: null, key: null };
  if (!(cert ?? cert_pem)) return fields;
  const ownKey = cert_pem?.includes('PRIVATE KEY-----') && !key && !key_pem;
  return { ...fields, pfx: null, alias: null, ...(ownKey && { key: null }) };
}

function passphraseOf(
  given: PassphraseFields | null | undefined,
  before: EntrySource | null,
  home: string,
): PassphraseSource | null | 'unknown' {
  const source = given === undefined ? (before?.passphrase ?? null) : given;
  if (source === null) return null;
  if (typeof source === 'string') return given === undefined ? 'unknown' : { text: new Secret(source) };
  if ('file' in source) return { file: path.resolve(home, source.file) };
  return 'command' in source ? { command: source.command, cwd: home } : source;
}

/** @throws AdminError 422 with the diagnosis where it would not load */
export async function refuseUnusable(source: IdentitySource): Promise<void> {
  const { identity, problems } = await loadIdentity(source);
  if (identity) return;
  const [first] = problems;
  throw new AdminError(
    first?.code ?? 'UNUSABLE',
    first?.message ?? 'it can not be loaded',
    first?.hint ?? 'look at the files',
    { status: 422, problems },
  );
}

export interface Kept<T> {
  /** The fields as the store has them. */
  readonly fields: Omit<T, 'cert_pem' | 'key_pem' | 'pfx_base64'>;
  /** What was written; discarded where the store refuses the entry. */
  readonly files: readonly string[];
}

/** Puts content into files. A passphrase too: certificates.yaml is a file that people show each other. */
export async function keepContent<T extends InputFields>(fields: T, uploads: Uploads): Promise<Kept<T>> {
  const { cert_pem, key_pem, pfx_base64, ...rest } = fields;
  const files: string[] = [];
  const set: { cert?: string; key?: string; pfx?: string; passphrase?: { file: string } } = {};
  const keep = async (kind: Parameters<Uploads['keep']>[0], content: string | Buffer) => {
    const file = await uploads.keep(kind, content);
    files.push(file);
    return file;
  };
  try {
    if (cert_pem) set.cert = await keep('pem', cert_pem);
    if (key_pem) set.key = await keep('key', key_pem);
    if (pfx_base64) set.pfx = await keep('pfx', Buffer.from(pfx_base64, 'base64'));
    // The one line break at its end is the file's, not the passphrase's.
    if (typeof rest.passphrase === 'string') set.passphrase = { file: await keep('pass', `${rest.passphrase}\n`) };
  } catch (error) {
    await uploads.discard(files);
    throw error;
  }
  return { fields: { ...rest, ...set }, files };
}
