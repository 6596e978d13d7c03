/** Changes certificates.yaml by program. Works with a daemon running (its watcher sees the change) and without. */
import { createHash } from 'node:crypto';
import { loadAnchors } from './anchors.ts';
import { changeFile, conflict } from './change-file.ts';
import { EditError } from './edit-error.ts';
import type { EditOutcome } from './edit-text.ts';
import type { StoreEdit } from './edit-value.ts';
import { editOffThread } from './parse-off-thread.ts';
import { describeProblem } from './parsed.ts';

export { EditError, type EditErrorCode } from './edit-error.ts';
export type { CertificateChanges, StoreEdit } from './edit-value.ts';

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
export async function editStore(file: string, edit: StoreEdit, { ifVersion }: EditOptions = {}): Promise<EditResult> {
  let changed = false;
  const text = await changeFile(file, async (text) => {
    if (ifVersion !== undefined && ifVersion !== versionOf(text)) throw conflict(file);
    const outcome = await editOffThread(text, edit, file);
    if (!outcome.ok) throw new EditError(outcome.code, outcome.message, outcome.hint, outcome.problems);
    await refuseBadAnchors(outcome, file);
    changed = outcome.text !== text;
    return outcome.text;
  });
  return { version: versionOf(text), changed };
}

/** Of a store file's text. */
export function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
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
