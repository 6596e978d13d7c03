/** Edits the text of a store. Pure; runs in the parser's thread for large files. */
import { isDeepStrictEqual } from 'node:util';
import type { Document } from 'yaml';
import { EditError, type EditErrorCode } from './edit-error.ts';
import { applyChange, type Change, changesOf, type StoreEdit } from './edit-value.ts';
import { parseStore, readYaml, storeOf, type Yaml } from './parse.ts';
import { describeProblem, type ParsedStore } from './parsed.ts';
import type { StoreFile } from './schema.ts';
import { spliceChange } from './splice.ts';
import { validateStore } from './validate.ts';

export type EditOutcome =
  | { readonly ok: true; readonly text: string; readonly store: ParsedStore }
  | {
      readonly ok: false;
      readonly code: EditErrorCode;
      readonly message: string;
      readonly hint: string;
      readonly problems: readonly string[];
    };

/** @param file for messages */
export function editText(text: string, edit: StoreEdit, file: string): EditOutcome {
  try {
    return { ok: true, ...edited(text, edit, file) };
  } catch (error) {
    if (!(error instanceof EditError)) throw error;
    const { code, message, hint, problems } = error;
    return { ok: false, code, message, hint, problems };
  }
}

function edited(text: string, edit: StoreEdit, file: string): { text: string; store: ParsedStore } {
  let now: State = stateOf(text, file);
  const before = now.yaml ? storeOf(now.yaml, file) : parseStore(text, file);
  if (!before.ok || !now.yaml) {
    const problems = before.ok ? [] : before.problems.map(describeProblem);
    throw new EditError(
      'BROKEN_FILE',
      `${file} has a mistake, so it is not changed: ${problems[0]}`,
      'correct the file by hand first',
      problems,
    );
  }
  for (const change of changesOf(edit, before.store, now.yaml.value as StoreFile)) now = changed(now, change, file);
  const after = now.yaml ? storeOf(now.yaml, file) : parseStore(now.text, file);
  if (!after.ok) throw invalid(after.problems.map(({ message, expected }) => `${message}; expected ${expected}`));
  return { text: now.text, store: after.store };
}

interface State {
  readonly text: string;
  readonly yaml: Yaml | null;
}

function stateOf(text: string, file: string): State {
  const yaml = readYaml(text, file);
  return { text, yaml: yaml.ok ? yaml : null };
}

/** By splicing, which leaves every other byte alone; else through the document, which keeps comments but not all spacing. */
function changed({ text, yaml }: State, change: Change, file: string): State {
  const wanted = applyChange(yaml?.value, change);
  const mistakes = validateStore(wanted);
  if (mistakes.length > 0) throw invalid(mistakes.map(({ message, expected }) => `${message}; expected ${expected}`));
  for (const way of [spliceChange, throughDocument]) {
    const result = yaml && attempt(() => way(text, yaml.document, change));
    const state = result === null ? null : stateOf(result, file);
    if (state?.yaml && isDeepStrictEqual(state.yaml.value, wanted)) return state;
  }
  throw new EditError(
    'BY_HAND',
    `${file} can't be changed by program without touching what is not meant: anchors or an unusual form of YAML`,
    'make this change in an editor',
  );
}

function throughDocument(_text: string, document: Document, change: Change): string {
  const node = change.op === 'remove' ? null : document.createNode(change.value);
  if (change.op === 'remove') document.deleteIn(change.path);
  else if (change.op === 'set') document.setIn(change.path, node);
  else if (document.hasIn(change.path) && document.getIn(change.path) !== null) document.addIn(change.path, node);
  else document.setIn(change.path, document.createNode([change.value]));
  return document.toString({ lineWidth: 0 });
}

/** yaml throws plain errors for aliases that lost their anchor. */
function attempt<T>(way: () => T): T | null {
  try {
    return way();
  } catch {
    return null;
  }
}

function invalid(problems: readonly string[]): EditError {
  return new EditError('INVALID', problems.join('; '), 'correct these fields', problems);
}
