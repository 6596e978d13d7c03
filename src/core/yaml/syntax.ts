/** Explanations of what the YAML parser finds: its own messages quote the text. */
import { type Document, type ErrorCode, isAlias, type Node, visit, type YAMLError } from 'yaml';

interface Explanation {
  readonly message: string;
  readonly expected: string;
}

const quotes = 'quotes around text that starts with one of * & ! | > % @ ` or holds ": " or " #"';

// biome-ignore format: a table reads best as a table
const EXPLANATIONS: Partial<Record<ErrorCode, Explanation>> = {
  TAB_AS_INDENT: { message: 'a tab is used for indentation', expected: 'spaces' },
  BAD_INDENT: { message: 'the indentation fits no block above', expected: 'the same number of spaces as the lines that it belongs with' },
  DUPLICATE_KEY: { message: 'a key is there twice', expected: 'each key once' },
  MISSING_CHAR: { message: 'a closing quote or bracket, a comma or a colon is missing', expected: 'quotes and brackets in pairs, "key: value" with a space' },
  MULTIPLE_DOCS: { message: 'the file holds several documents', expected: 'one, without "---" in between' },
  BAD_ALIAS: { message: 'a "*" starts an alias without a name', expected: '"*" in quotes where the star itself is meant' },
  TAG_RESOLVE_FAILED: { message: 'a "!" starts an unknown tag', expected: quotes },
  BAD_SCALAR_START: { message: 'text can\'t start like this', expected: quotes },
  BAD_DQ_ESCAPE: { message: 'an unknown escape in double quotes', expected: 'a backslash doubled, or single quotes' },
  BLOCK_AS_IMPLICIT_KEY: { message: 'a second ": " on one line', expected: quotes },
  MULTILINE_IMPLICIT_KEY: { message: 'a key has no colon', expected: '"key: value" with a space' },
  RESOURCE_EXHAUSTION: { message: 'the file is nested too deeply', expected: 'at most six levels' },
  UNEXPECTED_TOKEN: { message: 'unexpected text', expected: quotes },
};

export function explainYamlError({ code }: YAMLError): Explanation {
  return EXPLANATIONS[code] ?? { message: `the file is not YAML 1.2 (${code})`, expected: 'YAML 1.2' };
}

/** Aliases without an anchor above them, with their offsets. */
export function danglingAliases(document: Document): (Explanation & { readonly offset: number })[] {
  const found: (Explanation & { readonly offset: number })[] = [];
  visit(document, {
    Alias: (_, node) => {
      if (isAlias(node) && !node.resolve(document))
        found.push({
          offset: (node as Node).range?.[0] ?? 0,
          message: 'an alias has no anchor above it',
          expected: quotes,
        });
    },
  });
  return found;
}

/** Errors that the parser throws on files made to be costly. @param mostAliases as given to it */
export function explainCostly(error: unknown, mostAliases: number): Explanation {
  if (error instanceof RangeError) return { message: 'the file is nested too deeply', expected: 'at most six levels' };
  if (error instanceof ReferenceError)
    return { message: 'too many aliases are resolved', expected: `at most ${mostAliases} uses of anchors` };
  return { message: 'the file is not YAML 1.2', expected: 'YAML 1.2' };
}
