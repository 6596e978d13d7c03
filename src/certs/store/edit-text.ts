/** Edits the text of a store. Pure; runs in the parser's thread for large files. */
import { isDeepStrictEqual } from 'node:util';
import { type Mistake, valueAt } from '../../core/validate.ts';
import { describeProblem, readYaml, type Yaml } from '../../core/yaml/read.ts';
import type { ParsedStore } from './compile.ts';
import { applyChange, type Change, changesOf, editError, type StoreEdit, withinChange } from './edit-value.ts';
import { storeOf, validateStore } from './parse.ts';
import type { StoreFile } from './schema.ts';
import { applySplices, spliceOf } from './splice.ts';

export interface Edited {
  readonly text: string;
  readonly store: ParsedStore;
}

/**
 * @param file for messages
 * @throws CodedError of EditErrorCode
 */
export function editText(text: string, edit: StoreEdit, file: string): Edited {
  const yaml = readYaml(text, file);
  const before = yaml.ok ? storeOf(yaml) : yaml;
  if (!yaml.ok || !before.ok) {
    const details = before.ok ? [] : before.problems.map(describeProblem);
    const message = `${file} has a mistake, so it is not changed: ${details[0]}`;
    throw editError('BROKEN_FILE', message, 'correct the file in an editor first', details);
  }
  const changes = changesOf(edit, before.store, yaml.value as StoreFile);
  const wanted = changes.reduce(applyChange, yaml.value);
  const mistakes = validateStore(wanted);
  if (mistakes.length > 0) throw invalid(mistakes);
  const now = allAtOnce(text, yaml, changes, wanted) ?? oneByOne({ text, yaml }, changes, file);
  if (!isDeepStrictEqual(now.yaml.value, wanted)) throw byHand(file);
  const after = storeOf(now.yaml);
  if (!after.ok) throw invalid(after.problems);
  return { text: now.text, store: after.store };
}

interface State {
  readonly text: string;
  readonly yaml: Yaml;
}

/** Only the differences: a comment in an entry stays when another field changes. */
function allAtOnce(text: string, yaml: Yaml, changes: readonly Change[], wanted: unknown): State | null {
  const small = changes.flatMap((change) => withinChange(change, valueAt(yaml.value, change.path)));
  const splices = small.map((change) => spliceOf(text, yaml.document, change));
  const state = splices.every((splice) => splice !== null) ? stateOf(applySplices(text, splices)) : null;
  return state && isDeepStrictEqual(state.yaml.value, wanted) ? state : null;
}

/** Each change as a whole, where a smaller one would also change what an alias shares. */
function oneByOne(state: State, changes: readonly Change[], file: string): State {
  return changes.reduce((now, change) => {
    const splice = spliceOf(now.text, now.yaml.document, change);
    const next = splice && stateOf(applySplices(now.text, [splice]));
    if (!next) throw byHand(file);
    return next;
  }, state);
}

function stateOf(text: string | null): State | null {
  const yaml = text === null ? null : readYaml(text, '');
  return text !== null && yaml?.ok ? { text, yaml } : null;
}

function byHand(file: string): Error {
  const why = "can't be changed by program without touching what is not meant: anchors or an unusual form of YAML";
  return editError('BY_HAND', `${file} ${why}`, 'make this change in an editor');
}

function invalid(mistakes: readonly Pick<Mistake, 'message' | 'expected'>[]): Error {
  const details = mistakes.map(({ message, expected }) => `${message}; expected ${expected}`);
  return editError('INVALID', details.join('; '), 'use the expected values', details);
}
