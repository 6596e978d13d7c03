/** What the linter does not see: imports inside functions. They go the same way, and make no cycle either. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob } from 'node:path';
import { expect, test } from 'vitest';

interface Override {
  readonly files: readonly string[];
  readonly rules: { readonly 'no-restricted-imports'?: [string, { patterns: { group: string[] }[] }] };
}

const root = join(import.meta.dirname, '../..');
const { overrides } = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as { overrides: Override[] };

/** Every import of every kind: source file -> target files, both from `src/` on. */
const imports = new Map(
  globSync('src/**/*.ts', { cwd: root }).map((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/(?:\bfrom |\bimport |\bimport\()'(\.[^']+\.ts)'/g)];
    return [file, targets.map(([, target = '']) => join(dirname(file), target))];
  }),
);

test('no import crosses the rooms against the direction that .oxlintrc.json gives', () => {
  const wrong = overrides.flatMap(({ files, rules }) => {
    const forbidden = rules['no-restricted-imports']?.[1].patterns.flatMap(({ group }) => group) ?? [];
    return [...imports]
      .filter(([file]) => files.some((pattern) => matchesGlob(file, pattern)))
      .flatMap(([file, targets]) => targets.map((target) => ({ file, target })))
      .filter(({ target }) => forbidden.some((pattern) => matchesGlob(target, pattern)));
  });
  expect(wrong).toEqual([]);
});

test('no file imports itself by way of others', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const target of imports.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  expect([...imports.keys()].flatMap((file) => visit(file, []))).toEqual([]);
  expect([...imports.values()].flat().length).toBeGreaterThan(imports.size);
});
