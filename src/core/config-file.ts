/** YAML text held to a TypeBox schema; every mistake comes back with its line and column. */
import { LineCounter, parseDocument } from 'yaml';
import type { Static, TSchema } from 'typebox';
import { MtlsdError } from './errors.ts';
import { type Mistake, validatorFor } from './validate.ts';
import { offsetOf } from './yaml-places.ts';

/**
 * @param path named in messages
 * @throws MtlsdError BAD_CONFIGURATION, one line a mistake: `mtlsd.yaml:3:9: what is wrong; expected what`
 */
export function readConfig<T extends TSchema>(text: string, path: string, schema: T): Static<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
  });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw bad(
      broken.map(
        (error) => `${place(error.pos[0])}: ${error.message.split('\n')[0]?.replace(/[.:]$/, '')}; expected YAML 1.2`,
      ),
    );
  }
  let value: unknown;
  try {
    // Settings have no use for anchors by the hundred; a bomb does.
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw bad([`${path}:1:1: ${(error as Error).message}`]);
  }
  const mistakes = validatorFor(schema)(value);
  if (mistakes.length > 0)
    throw bad(mistakes.map((mistake) => line(place(offsetOf(document, mistake.path, mistake.atKey)), mistake)));
  return value as Static<T>;
}

const line = (place: string, { message, expected }: Mistake): string => `${place}: ${message}; expected ${expected}`;

const bad = (lines: readonly string[]): MtlsdError => new MtlsdError('BAD_CONFIGURATION', lines.join('\n'));
