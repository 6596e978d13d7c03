/**
 * Changes a text file by program: atomic and durable, one writer after another across processes, and never over an edit made
 * manually in the meantime.
 *
 * A symbolic link stays one: the file that it leads to is replaced, in that file's folder.
 */
import { link, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { CodedError, nativeCode } from '../errors.ts';
import { removeLeftovers, stampOf, temporaryName, writeAtomically } from './atomic-write.ts';
import { lockFile } from './lock.ts';
import { notWritable } from './system-fault.ts';

/**
 * Resolves with what `change` gave when its text is on disk and will be there after a power cut.
 * @param change gets the text and gives the new one; a CodedError that it throws is passed on
 * @throws CodedError CONFLICT, LOCKED, NOT_FOUND, NOT_WRITABLE; the file is then as it was
 */
export async function changeFile<T extends { readonly text: string }>(
  file: string,
  change: (text: string) => Promise<T> | T,
): Promise<T> {
  const target = await targetOf(file);
  const unlock = await lockFile(target);
  try {
    await removeLeftovers(target);
    return await changeLocked(file, target, change);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw notWritable(error, file, 'written');
  } finally {
    await unlock();
  }
}

async function changeLocked<T extends { readonly text: string }>(
  file: string,
  target: string,
  change: (text: string) => Promise<T> | T,
): Promise<T> {
  const stamp = stampOf(target);
  const { mode } = await stat(target);
  const text = await readFile(target, 'utf8');
  const changed = await change(text);
  if (changed.text === text) return changed;
  const before = await keepAside(target);
  try {
    const proceed = () => stampOf(target) === stamp;
    if (!(await writeAtomically(target, changed.text, { mode: mode & 0o777, proceed }))) throw conflict(file);
    await refuseLateEdit(before, text, target, file);
  } finally {
    if (before !== null) await rm(before, { force: true });
  }
  return changed;
}

/** A second name for the file that is about to be replaced; null where the file system has no links. */
async function keepAside(target: string): Promise<string | null> {
  const aside = temporaryName(target);
  try {
    await link(target, aside);
    return aside;
  } catch {
    return null;
  }
}

/**
 * An editor that writes in place may have the old file open during the rename. Then the file that was set aside has the edit by
 * hand: it is put back, and ours is refused.
 */
async function refuseLateEdit(before: string | null, text: string, target: string, file: string): Promise<void> {
  if (before === null || (await readFile(before, 'utf8')) === text) return;
  await rename(before, target);
  throw conflict(file);
}

async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    const code = nativeCode(error) ?? 'unknown error';
    throw new CodedError('NOT_FOUND', `${file} can't be found: ${code}`, 'mtlsd start makes it');
  }
}

export function conflict(file: string): CodedError {
  return new CodedError('CONFLICT', `${file} changed in the meantime`, 'read it again, then repeat the change');
}
