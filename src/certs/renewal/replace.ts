/**
 * Replaces old files by new ones, so that a crash at any moment leaves a pair that loads.
 *
 * 1. Every new file is written durably beside the old one, as `FILE.next`.
 * 2. The old ones get a second name, `FILE.previous`.
 * 3. Every `FILE.next` is renamed to `FILE`, the key first.
 *
 * A crash before 3 leaves the old pair, and between two renames of 3 the new key with the old certificate: the new one is
 * at `FILE.next` then, where `loadWithNext` finds it and `completeReplacement` puts it in its place.
 */
import { chown, copyFile, link, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { nativeCode } from '../../core/errors.ts';
import type { ClientIdentity } from '../identity/identity.ts';
import type { IdentitySource, LoadedIdentity } from '../identity/load.ts';
import type { FileSource } from '../identity/read-file.ts';
import { removeLeftovers, syncFolder, writeAtomically } from '../../core/files/atomic-write.ts';
import { RenewalFault } from './fault.ts';

export interface NewFile {
  /** Absolute; a symbolic link stays one, and the file that it leads to is replaced. */
  readonly file: string;
  readonly content: string | Buffer;
}

const nextOf = (file: string): string => `${file}.next`;
const previousOf = (file: string): string => `${file}.previous`;

/**
 * Only while holding the lock of the main file.
 * @param files the key before the certificate
 * @throws RenewalFault FILES_NOT_WRITABLE; the old files are in place then
 */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  const resolved = await Promise.all(files.map(async ({ file, content }) => ({ file: await realFile(file), content })));
  try {
    for (const { file, content } of resolved) await writeNext(file, content);
    for (const { file } of resolved) await keepPrevious(file);
  } catch (error) {
    for (const { file } of resolved) await rm(nextOf(file), { force: true });
    throw notWritten(error, resolved[0]?.file);
  }
  // From here on the replacement is completed, now or after a crash.
  try {
    for (const { file } of resolved) await rename(nextOf(file), file);
    for (const folder of new Set(resolved.map(({ file }) => path.dirname(file)))) await syncFolder(folder);
  } catch (error) {
    throw notWritten(error, resolved[0]?.file);
  }
}

async function writeNext(file: string, content: string | Buffer): Promise<void> {
  await removeLeftovers(file);
  const { mode, uid, gid } = await stat(file);
  await writeAtomically(nextOf(file), content, { mode: mode & 0o777 });
  // Only root can do this, and only root needs to.
  if (process.geteuid?.() === 0) await chown(nextOf(file), uid, gid);
}

function notWritten(error: unknown, file = '.'): RenewalFault {
  const code = nativeCode(error) ?? 'unknown error';
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new RenewalFault('FILES_NOT_WRITABLE', `the new certificate can't be written: ${code}`, {
    ...(full && { hint: `free some space on the disk of ${path.dirname(file)}` }),
    cause: error,
  });
}

/** Files as they are, to put them back. */
export function readFiles(files: readonly string[]): Promise<readonly NewFile[]> {
  return Promise.all(files.map(async (file) => ({ file, content: await readFile(file) })));
}

/**
 * Completes what a crash interrupted: new files that were all written are moved into place, even if some were renamed already.
 * `.next` files that do not fit were not complete, and are removed. Only while holding the lock of the main file.
 * @param load what a source holds
 */
export async function completeReplacement(source: IdentitySource, load: Load): Promise<void> {
  const files = await withNext(source);
  if (files.length === 0) return;
  const [present, next] = [await load(source), await load(atNext(source, files))];
  const complete = next.identity !== null && isLater(next.identity, present.identity);
  // The key first, as always: it is the certificate whose .next the loader looks for.
  for (const file of files) {
    if (complete) await rename(nextOf(file.real), file.real);
    else await rm(nextOf(file.real), { force: true });
  }
  for (const folder of new Set(files.map(({ real }) => path.dirname(real)))) await syncFolder(folder);
}

type Load = (source: IdentitySource) => Promise<LoadedIdentity>;

/**
 * Loads an identity, also between the two renames or after a crash there: then the certificate is still at its `.next`, and fits
 * the key.
 */
export async function loadWithNext(source: IdentitySource, load: Load): Promise<LoadedIdentity> {
  const loaded = await load(source);
  if (loaded.identity !== null || !loaded.problems.some(({ code }) => code === 'KEY_MISMATCH')) return loaded;
  const files = await withNext(source);
  const next = files.length > 0 ? await load(atNext(source, files)) : loaded;
  // Neither, where the last rename came between the two looks: now they fit.
  return next.identity !== null ? next : load(source);
}

interface WithNext {
  readonly written: string;
  readonly real: string;
}

/** Whether a crash left something for `completeReplacement`. */
export async function isInterrupted(source: IdentitySource): Promise<boolean> {
  return (await withNext(source)).length > 0;
}

/** The files that have a `.next`, the key's first. */
async function withNext({ cert, key, pfx }: IdentitySource): Promise<WithNext[]> {
  const found: WithNext[] = [];
  for (const source of [key, cert, pfx]) {
    if (source === null || !('path' in source)) continue;
    const real = await realFile(source.path);
    if (await exists(nextOf(real))) found.push({ written: source.path, real });
  }
  return found;
}

function atNext(source: IdentitySource, files: readonly WithNext[]): IdentitySource {
  const moved = (one: FileSource | null): FileSource | null => {
    const file = one !== null && 'path' in one ? files.find(({ written }) => written === one.path) : undefined;
    return file ? { path: nextOf(file.real) } : one;
  };
  return { ...source, cert: moved(source.cert), key: moved(source.key), pfx: moved(source.pfx) };
}

function isLater(next: ClientIdentity, present: ClientIdentity | null): boolean {
  return present === null || next.leaf.validToDate > present.leaf.validToDate;
}

/** A hard link, so that there is no moment without the file; a copy where the file system has no hard links. */
async function keepPrevious(file: string): Promise<void> {
  const fresh = `${previousOf(file)}.new`;
  await rm(fresh, { force: true });
  try {
    await link(file, fresh);
  } catch {
    await copyFile(file, fresh);
  }
  await rename(fresh, previousOf(file));
}

async function realFile(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch {
    return path.resolve(file);
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch {
    return false;
  }
}
