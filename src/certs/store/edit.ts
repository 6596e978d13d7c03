/**
 * Changes certificates.yaml by program: atomic and durable, one writer after another across processes, and never over an
 * edit made by hand meanwhile. Works with a daemon running (its watcher sees the change) and without.
 *
 * A symbolic link stays one: the file that it leads to is replaced, in that file's folder.
 */
import { createHash } from 'node:crypto';
import { link, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { nativeCode } from '../../core/errors.ts';
import { loadAnchors } from './anchors.ts';
import { removeLeftovers, stampOf, temporaryName, writeDurably } from './durable-write.ts';
import type { EditOutcome } from './edit-text.ts';
import { EditError, type StoreEdit } from './edit-value.ts';
import { lockFile } from './lock.ts';
import { editOffThread } from './parse-off-thread.ts';
import { describeProblem } from './parsed.ts';

export { EditError, type EditErrorCode, type StoreEdit } from './edit-value.ts';

export interface EditOptions {
  /** The `version` that the caller saw: another one in the file is a conflict. */
  readonly ifVersion?: string | undefined;
}

export interface EditResult {
  /** Of the file as it is now; differs whenever its text does. */
  readonly version: string;
  readonly changed: boolean;
}

/**
 * Resolves when the change is on disk and will be there after a power cut.
 * @throws EditError; the file is then as it was
 */
export async function editStore(file: string, edit: StoreEdit, options: EditOptions = {}): Promise<EditResult> {
  const target = await targetOf(file);
  const unlock = await lockFile(target);
  try {
    await removeLeftovers(target);
    return await editLocked(file, target, edit, options);
  } catch (error) {
    throw asEditError(error, file);
  } finally {
    await unlock();
  }
}

async function editLocked(
  file: string,
  target: string,
  edit: StoreEdit,
  { ifVersion }: EditOptions,
): Promise<EditResult> {
  const stamp = stampOf(target);
  const { mode } = await stat(target);
  const text = await readFile(target, 'utf8');
  if (ifVersion !== undefined && ifVersion !== versionOf(text)) throw conflict(file);
  const outcome = await editOffThread(text, edit, file);
  if (!outcome.ok) throw new EditError(outcome.code, outcome.message, outcome.hint, outcome.problems);
  await refuseBadAnchors(outcome, file);
  if (outcome.text === text) return { version: versionOf(text), changed: false };
  const before = await keepAside(target);
  try {
    const proceed = () => stampOf(target) === stamp;
    if (!(await writeDurably(target, outcome.text, { mode: mode & 0o777, proceed }))) throw conflict(file);
    await refuseLateEdit(before, text, target, file);
  } finally {
    if (before !== null) await rm(before, { force: true });
  }
  return { version: versionOf(outcome.text), changed: true };
}

/** Of a store file's text. */
export function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
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
 * An editor that writes in place may have had the old file open at the moment of the rename. What it wrote is in the file
 * set aside, which then comes back: the person's edit is kept and ours is refused.
 */
async function refuseLateEdit(before: string | null, text: string, target: string, file: string): Promise<void> {
  if (before === null || (await readFile(before, 'utf8')) === text) return;
  await rename(before, target);
  throw conflict(file);
}

/** The store would refuse CA certificates that can't be read, and keep the last good one: better not written at all. */
async function refuseBadAnchors(outcome: EditOutcome & { ok: true }, file: string): Promise<void> {
  const anchors = await loadAnchors(outcome.store, file);
  if (anchors.ok) return;
  const problems = anchors.problems.map(({ message, expected }) => `${message}; expected ${expected}`);
  throw new EditError(
    'INVALID',
    problems.join('; '),
    'correct the list of CA files',
    anchors.problems.map(describeProblem),
  );
}

async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    throw new EditError(
      'NOT_FOUND',
      `${file} can't be found: ${nativeCode(error) ?? 'unknown error'}`,
      'mtlsd start makes it',
    );
  }
}

function conflict(file: string): EditError {
  return new EditError('CONFLICT', `${file} was changed meanwhile`, 'read it again, then repeat the change');
}

function asEditError(error: unknown, file: string): EditError {
  if (error instanceof EditError) return error;
  const code = nativeCode(error) ?? 'unknown error';
  return new EditError(
    'NOT_WRITABLE',
    `${file} can't be written: ${code}`,
    'check who may write in its folder, or change the file where it comes from',
  );
}
