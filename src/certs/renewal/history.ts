/** The outcomes of renewals, kept across restarts. A lost or damaged file only costs an extra request to the CA. */
import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../../core/files/atomic-write.ts';

export interface Remembered {
  /** Of the certificate that the rest is about. */
  readonly fingerprint: string;
  /** RFC 3339: the last renewal. */
  readonly last: string | null;
  /** ms since 1970. */
  readonly next: number;
  readonly failures: number;
  readonly error: string | null;
  readonly before: string | null;
  readonly after: string | null;
}

/** By the names of entries. */
export async function readHistory(file: string): Promise<Map<string, Remembered>> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return new Map();
    return new Map(Object.entries(parsed).filter((pair): pair is [string, Remembered] => isRemembered(pair[1])));
  } catch {
    return new Map();
  }
}

export async function writeHistory(file: string, history: ReadonlyMap<string, Remembered>): Promise<void> {
  try {
    await writeAtomically(file, `${JSON.stringify(Object.fromEntries(history), null, 2)}\n`, { mode: 0o600 });
  } catch {
    // It stays in memory until the next restart.
  }
}

/** Drops removed entries. */
export function forget(history: Map<string, Remembered>, names: ReadonlySet<string>): void {
  for (const name of history.keys()) if (!names.has(name)) history.delete(name);
}

function isRemembered(value: unknown): boolean {
  const text = (one: unknown) => one === null || typeof one === 'string';
  const { fingerprint, last, next, failures, error, before, after } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof fingerprint === 'string' &&
    typeof next === 'number' &&
    typeof failures === 'number' &&
    [last, error, before, after].every(text)
  );
}
