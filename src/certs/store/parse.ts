/** The text of certificates.yaml -> checked plain data, or every mistake with its place. Pure; runs in the parser's thread. */
import { type Mistake, type Path, validatorFor } from '../../core/validate.ts';
import { readYaml, type Yaml } from '../../core/yaml/read.ts';
import { compileStore, type ParseOutcome } from './compile.ts';
import { StoreFile } from './schema.ts';

/** @param file goes into the problems as it is */
export function parseStore(text: string, file: string): ParseOutcome {
  const yaml = readYaml(text, file);
  return yaml.ok ? storeOf(yaml) : yaml;
}

/** Holds YAML to the schema and compiles it. */
export function storeOf(yaml: Yaml): ParseOutcome {
  const mistakes = validateStore(yaml.value);
  return mistakes.length > 0
    ? { ok: false, problems: yaml.problemsOf(mistakes) }
    : compileStore(yaml.value as StoreFile, yaml);
}

/** Every mistake of the value; none where it is a `StoreFile`. */
export const validateStore = validatorFor(StoreFile, {
  empty: 'version: 1, then the sections of a store',
  relation: (keyword, path, entry) => {
    if (keyword !== 'oneOf') return dependent(path, entry);
    return path.at(-1) === 'renew' ? oneWay(path, entry) : eitherOr(path, entry);
  },
  expected: hinted,
  nearest,
  secret: new Set(['passphrase']),
});

function dependent(path: Path, entry: object): Mistake {
  return 'key' in entry && !('cert' in entry)
    ? { path: [...path, 'key'], atKey: true, message: 'key goes with cert', expected: 'cert beside key, or pfx alone' }
    : { path: [...path, 'alias'], atKey: true, message: 'alias goes with pfx', expected: 'pfx beside alias' };
}

function eitherOr(path: Path, entry: object): Mistake {
  const expected = 'either cert (with key), or pfx';
  if ('cert' in entry) return { path: [...path, 'pfx'], atKey: true, message: 'cert and pfx are both given', expected };
  return { path, atKey: false, message: 'neither cert nor pfx is given', expected };
}

function oneWay(path: Path, renew: object): Mistake {
  const [first, second] = ['est', 'step', 'command'].filter((key) => key in renew);
  const expected = 'one of est, step and command';
  if (second === undefined)
    return {
      path,
      atKey: false,
      message: first === undefined ? 'no way to renew is given' : 'renew is not known',
      expected,
    };
  return { path: [...path, second], atKey: true, message: `${first} and ${second} are both given`, expected };
}

/** For the mistakes that people make most, what to write instead. */
function hinted(path: Path, value: unknown, expected: string): string {
  const last = path.at(-1);
  if (last === 'host' && typeof value === 'string') {
    const url = /^[a-z]+:\/\/([^/:?#]+)/i.exec(value);
    if (url) return `the host alone: ${url[1]}`;
    const withPort = /^([^:[\]]+):(\d+)$/.exec(value);
    if (withPort) return `host: ${withPort[1]} and, on its own line, port: ${withPort[2]}`;
    if (/^\*[^.]/.test(value)) return 'a "*" only alone or as the first label, as in "*.corp.example"';
  }
  if (typeof value === 'string' && value.includes('-----BEGIN '))
    return `${expected}; put the PEM text into a file of its own`;
  if (last === 'port' && typeof value === 'string' && /^\d+$/.test(value)) return `the number without quotes: ${value}`;
  return expected;
}

function nearest(key: string, known: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z]/g, '');
  const aliases: Record<string, string> = {
    certificate: 'cert',
    crt: 'cert',
    p12: 'pfx',
    pkcs: 'pfx',
    password: 'passphrase',
    certs: 'certificates',
    hostname: 'host',
  };
  const wanted = plain(key);
  const match = known.find(
    (k) => plain(k) === wanted || aliases[wanted] === k || plain(k).startsWith(wanted) || `${plain(k)}s` === wanted,
  );
  return match ? ` (${match}?)` : '';
}
