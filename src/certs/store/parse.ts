/**
 * The text of certificates.yaml -> checked plain data, or every mistake with its place. Pure; runs in a thread of its own
 * for all but small files, because parsing 10,000 entries takes about a second.
 */
import { createHash } from 'node:crypto';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { canonicalHost } from '../../core/authority.ts';
import { canonicalPattern, nameFor, parsePassthrough } from './hosts.ts';
import type {
  ParsedEntry,
  ParsedPassphrase,
  ParsedRule,
  ParsedStore,
  ParsedTrust,
  ParseOutcome,
  Place,
  StoreProblem,
} from './parsed.ts';
import type { CertificateFields, PassphraseFields, StoreFile, TrustFields } from './schema.ts';
import { type Mistake, validateStore } from './validate.ts';

/** A mistake on every line of a broken file helps nobody. */
const maxProblems = 50;
/** Enough for a defaults block used by every one of forty entries, far below what a bomb needs. */
const maxAliases = 1000;

/** YAML 1.2 core only: no merge keys, no timestamps, no "yes" that turns into true. */
export const yamlOptions = {
  version: '1.2',
  schema: 'core',
  merge: false,
  strict: true,
  prettyErrors: false,
} as const;

type Path = readonly (string | number)[];

/** @param file goes into the problems as it is */
export function parseStore(text: string, file: string): ParseOutcome {
  const lines = new LineCounter();
  const fail = (problems: readonly StoreProblem[]): ParseOutcome => ({
    ok: false,
    problems: problems.slice(0, maxProblems),
  });
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(text, { ...yamlOptions, lineCounter: lines });
    const broken = [...document.errors, ...document.warnings];
    if (broken.length > 0) {
      return fail(
        broken.map((e) => ({
          file,
          ...at(e.pos[0]),
          message: oneLine(e.message),
          expected: 'YAML 1.2 with spaces for indentation',
        })),
      );
    }
    value = document.toJS({ maxAliasCount: maxAliases });
  } catch (error) {
    return fail([{ file, line: 1, column: 1, ...costly(error) }]);
  }
  if (value === null || value === undefined) {
    return fail([
      { file, line: 1, column: 1, message: 'the file is empty', expected: 'version: 1, then the sections of a store' },
    ]);
  }
  const placeOf = (path: Path, atKey = false): Place => at(offsetOf(document, path, atKey));
  const mistakes = validateStore(value);
  const build = mistakes.length > 0 ? null : new StoreBuilder(value as StoreFile, placeOf);
  const problems = (build?.mistakes ?? mistakes)
    .map((m): StoreProblem => ({ file, ...placeOf(m.path, m.atKey), message: m.message, expected: m.expected }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
  return build && problems.length === 0 ? { ok: true, store: build.store } : fail(problems);
}

/** What the schema can't say: hosts that canonicalise, names that are unique, and then the defaults. */
class StoreBuilder {
  readonly mistakes: Mistake[] = [];
  readonly store: ParsedStore;
  readonly #placeOf: (path: Path, atKey?: boolean) => Place;

  constructor(value: StoreFile, placeOf: (path: Path, atKey?: boolean) => Place) {
    this.#placeOf = placeOf;
    const { certificates = [], trust, verification = {}, interception = {} } = value;
    const entries = this.#entries(certificates);
    this.store = {
      entries,
      written: {
        trust: { system: true, ca: [], ...trust },
        verification: { mode: 'enforce', rules: [], ...verification },
        interception: { mode: 'all', passthrough: [], unmatched: 'intercept', ...interception },
      },
      trust: this.#trust(trust, ['trust']),
      mode: verification.mode ?? 'enforce',
      rules: (verification.rules ?? []).map((rule, i): ParsedRule => {
        const path = ['verification', 'rules', i];
        if (rule.min_version === 'TLSv1.3' && rule.max_version === 'TLSv1.2') {
          this.#mistake([...path, 'min_version'], 'min_version is above max_version', 'a version up to TLSv1.2');
        }
        return {
          ...this.#placeOf(path),
          host: this.#host(rule.host, [...path, 'host']),
          port: rule.port ?? 443,
          mode: rule.mode ?? null,
          trust: rule.trust ? this.#trust(rule.trust, [...path, 'trust']) : null,
          allow: rule.allow ?? [],
          pins: (rule.pins ?? []).map((pin) => pin.slice('sha256/'.length)),
          minVersion: rule.min_version ?? 'TLSv1.2',
          maxVersion: rule.max_version ?? 'TLSv1.3',
          serverName:
            rule.server_name === undefined ? null : this.#serverName(rule.server_name, [...path, 'server_name']),
        };
      }),
      interception: {
        mode: interception.mode ?? 'all',
        unmatched: interception.unmatched ?? 'intercept',
        passthrough: (interception.passthrough ?? []).map((text, i) => {
          const parsed = parsePassthrough(text);
          if (!parsed)
            this.#mistake(
              ['interception', 'passthrough', i],
              `${JSON.stringify(text)} is not a host`,
              'a host, "*.suffix" or address, with ":port" where only one port is meant',
            );
          return parsed ?? { host: text, port: '*' as const };
        }),
      },
    };
  }

  #entries(fields: readonly CertificateFields[]): ParsedEntry[] {
    const lineOfName = new Map<string, number>();
    fields.forEach((entry, i) => {
      if (entry.name === undefined) return;
      const first = lineOfName.get(entry.name);
      const { line } = this.#placeOf(['certificates', i, 'name']);
      if (first === undefined) lineOfName.set(entry.name, line);
      else
        this.#mistake(
          ['certificates', i, 'name'],
          `the name ${entry.name} is taken by the entry on line ${first}`,
          'a name of its own',
        );
    });
    const taken = new Set(lineOfName.keys());
    return fields.map((entry, i): ParsedEntry => {
      const host = this.#host(entry.host, ['certificates', i, 'host']);
      const port = entry.port ?? 443;
      const name = entry.name ?? freeName(nameFor({ host, port }), taken);
      const passphrase = passphraseOf(entry.passphrase);
      const parsed = {
        name,
        host,
        port,
        enabled: entry.enabled ?? true,
        profile: entry.profile ?? null,
        withholdUnverified: entry.withhold_unverified ?? false,
        cert: entry.cert ?? null,
        key: entry.key ?? null,
        pfx: entry.pfx ?? null,
        alias: entry.alias ?? null,
        passphrase,
      };
      return {
        ...parsed,
        ...this.#placeOf(['certificates', i]),
        signature: createHash('sha256').update(JSON.stringify(parsed)).digest('base64url'),
      };
    });
  }

  #trust(fields: TrustFields | undefined, path: Path): ParsedTrust {
    return {
      system: fields?.system ?? true,
      ca: (fields?.ca ?? []).map((text, i) => ({ path: text, ...this.#placeOf([...path, 'ca', i]) })),
    };
  }

  #host(text: string, path: Path): string {
    const host = canonicalPattern(text);
    if (host === null)
      this.#mistake(path, `${JSON.stringify(text)} is not a host`, 'an exact name, "*.suffix", "*" or an IP address');
    return host ?? text;
  }

  #serverName(text: string, path: Path): string {
    const host = canonicalHost(text);
    if (host === null) this.#mistake(path, `${JSON.stringify(text)} is not a host name`, 'a host name');
    return host ?? text;
  }

  #mistake(path: Path, message: string, expected: string): void {
    this.mistakes.push({ path, atKey: false, message, expected });
  }
}

function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let n = 2; taken.has(name); n++) name = `${wanted}-${n}`;
  taken.add(name);
  return name;
}

function passphraseOf(fields: PassphraseFields | undefined): ParsedPassphrase | null {
  if (fields === undefined) return null;
  return typeof fields === 'string' ? { text: fields } : fields;
}

/** Where the node at a path starts; the nearest parent's start where there is none. */
function offsetOf(document: Document.Parsed, path: Path, atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of path.entries()) {
    const resolved = isAlias(node) ? node.resolve(document) : node;
    if (isMap(resolved)) {
      const pair = resolved.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (!pair) break;
      const wantKey = atKey && depth === path.length - 1;
      node = pair.value;
      offset = (wantKey ? startOf(pair.key) : (startOf(pair.value) ?? startOf(pair.key))) ?? offset;
    } else if (isSeq(resolved) && typeof part === 'number') {
      node = resolved.items[part];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function costly(error: unknown): { message: string; expected: string } {
  if (error instanceof RangeError)
    return { message: 'the file is nested too deeply', expected: 'a store, at most six levels deep' };
  if (error instanceof ReferenceError)
    return { message: 'too many aliases are resolved', expected: `at most ${maxAliases} uses of anchors` };
  return { message: error instanceof Error ? oneLine(error.message) : String(error), expected: 'YAML 1.2' };
}

/** The parser's sentence as ours: one line, lower case, no full stop. */
function oneLine(message: string): string {
  const line = message.split('\n')[0]?.trim().replace(/[.:]$/, '') ?? '';
  return line.charAt(0).toLowerCase() + line.slice(1, 300);
}
