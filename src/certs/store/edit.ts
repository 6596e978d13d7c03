/** Changes certificates.yaml by program. Works with a daemon running (its watcher sees the change) and without. */
import { createHash } from 'node:crypto';
import { changeFile, conflict } from '../../core/files/change-file.ts';
import { describeProblem } from '../../core/yaml/read.ts';
import { loadAnchors } from './anchors.ts';
import { loadCrls } from './crls.ts';
import type { ParsedStore } from './compile.ts';
import type { Edited } from './edit-text.ts';
import { editError, type StoreEdit } from './edit-value.ts';
import { editOffThread } from './parse-thread.ts';

export interface EditOptions {
  /** The `version` that the caller saw: another one in the file is a conflict. */
  readonly ifVersion?: string | undefined;
}

/**
 * Resolves when the change is on disk and will be there after a power cut.
 * @throws CodedError of EditErrorCode; the file is then as it was
 */
export function editStore(file: string, edit: StoreEdit, { ifVersion }: EditOptions = {}): Promise<Edited> {
  return changeFile(file, async (before) => {
    if (ifVersion !== undefined && ifVersion !== versionOf(before)) throw conflict(file);
    const edited = await editOffThread(before, edit, file);
    await refuseBadAnchors(edited.store, file);
    return edited;
  });
}

/** Of a store file's text. */
export function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** The store refuses a file with CA certificates that can't be read, so such a file is not written. */
async function refuseBadAnchors(store: ParsedStore, file: string): Promise<void> {
  const anchors = await loadAnchors(store, file);
  const crls = await loadCrls(store, file);
  const problems = [...(anchors.ok ? [] : anchors.problems), ...(crls.ok ? [] : crls.problems)];
  if (problems.length === 0) return;
  const message = problems.map(({ message, expected }) => `${message}; expected ${expected}`).join('; ');
  throw editError('INVALID', message, 'correct the list of CA files or CRLs', problems.map(describeProblem));
}
