import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DIAGNOSES } from '../../../../src/certs/identity/diagnosis.ts';
import { formats } from './formats.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../../../docs/formats.md'), 'utf8');
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('docs/formats.md lists every format that is tested, and whether it loads', () => {
  const listed = rows
    .filter(([, , loads]) => /^(yes|no: .*)$/.test(loads ?? ''))
    .map(([, name, loads]) => `${name}: ${loads}`);
  expect(listed).toEqual(
    formats.map(({ name, refused }) => `${name}: ${refused === undefined ? 'yes' : `no: \`${refused}\``}`),
  );
});

test('docs/formats.md lists every diagnosis with its severity', () => {
  const listed = rows
    .filter(([, , severity]) => severity === 'error' || severity === 'warning')
    .map(([, code, severity]) => `${code} ${severity}`);
  expect(listed).toEqual(Object.entries(DIAGNOSES).map(([code, severity]) => `\`${code}\` ${severity}`));
});
