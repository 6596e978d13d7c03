/** Which of several dropped files belong together: each group becomes an entry. */
import { type FileKind, toBase64, toPem } from './kind.ts';

export interface Dropped {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly kind: FileKind;
}

export interface Group {
  readonly main: Dropped;
  /** Of a certificate that does not hold its own. */
  readonly key: Dropped | null;
}

/** What the API takes. */
export type Content = { readonly pfx_base64: string } | { readonly cert_pem: string; readonly key_pem?: string };

const isKey = ({ kind }: Dropped): boolean => kind === 'key' || kind === 'encrypted-key';

/**
 * A certificate gets the key of the same name (`alice.crt`, `alice.key`). What is left is tried: the daemon alone can tell
 * whether a key is a certificate's.
 * @param goesWith whether the daemon would load these two together
 */
export async function groupFiles(
  files: readonly Dropped[],
  goesWith: (certificate: Dropped, key: Dropped) => Promise<boolean>,
): Promise<{ groups: Group[]; left: Dropped[] }> {
  const groups: Group[] = files
    .filter(({ kind }) => kind === 'pfx' || kind.startsWith('certificate-and'))
    .map((main) => ({ main, key: null }));
  const keys = new Set(files.filter(isKey));
  const alone: Dropped[] = [];
  for (const main of files.filter(({ kind }) => kind === 'certificate')) {
    const key = [...keys].find(({ name }) => baseName(name) === baseName(main.name)) ?? null;
    if (key) {
      keys.delete(key);
      groups.push({ main, key });
    } else alone.push(main);
  }
  const left: Dropped[] = files.filter(({ kind }) => kind === 'unknown');
  for (const main of alone) {
    const key = alone.length === 1 && keys.size === 1 ? [...keys][0] : await findKey(main, [...keys], goesWith);
    if (!key) {
      left.push(main);
      continue;
    }
    keys.delete(key);
    groups.push({ main, key });
  }
  return { groups, left: [...left, ...keys] };
}

async function findKey(
  certificate: Dropped,
  keys: readonly Dropped[],
  goesWith: (certificate: Dropped, key: Dropped) => Promise<boolean>,
): Promise<Dropped | undefined> {
  for (const key of keys) if (await goesWith(certificate, key)) return key;
  return undefined;
}

export function contentOf({ main, key }: Group): Content {
  if (main.kind === 'pfx') return { pfx_base64: toBase64(main.bytes) };
  return { cert_pem: toPem(main.bytes, main.kind), ...(key && { key_pem: toPem(key.bytes, key.kind) }) };
}

/** `Alice.crt.pem` -> `alice` */
function baseName(name: string): string {
  return name
    .toLowerCase()
    .replace(/(?:[-_.](?:cert|crt|cer|key|pem|der|pub|chain|fullchain|private|certificate))+$/, '');
}
