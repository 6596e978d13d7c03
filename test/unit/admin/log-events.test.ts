import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LOG_EVENT_FIELDS, logEventsJsonSchema } from '../../../src/admin/schemas/log-events.ts';
import { LOG_EVENTS } from '../../../src/core/log.ts';
import { mistakeInLine } from '../../support/log-schema.ts';
import { connectionRecord, exchangeRecord } from '../../support/records.ts';

const docs = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');

test('docs/log-events.schema.json is what the definitions make (npm run schema)', () => {
  expect(docs('log-events.schema.json')).toBe(logEventsJsonSchema());
});

describe('docs/log-events.md', () => {
  const cells = (row: string): string[] => [...row.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  const rows = new Map(
    [...docs('log-events.md').matchAll(/^\| `([a-z._]+)` \| [a-z, ]+ \| [^|]+ \| (`.+) \|$/gm)].map(
      ([, event = '', holds = '']) => [event, cells(holds)],
    ),
  );

  test('lists every event and no other', () => {
    expect([...rows.keys()].sort()).toEqual([...LOG_EVENTS].sort());
  });

  test.each(LOG_EVENTS)('%s: holds what the schema says', (event) => {
    expect(rows.get(event)?.sort()).toEqual(Object.keys(LOG_EVENT_FIELDS[event]).sort());
  });
});

describe('a line', () => {
  const line = (record: object) => ({ time: new Date().toISOString(), level: 'info', ...record }) as never;

  test('that is a record fits', () => {
    expect(mistakeInLine(line(exchangeRecord({})))).toBeNull();
    expect(mistakeInLine(line(connectionRecord({})))).toBeNull();
  });

  test('with a field too many, one too few, or of an unknown event does not', () => {
    expect(mistakeInLine(line({ ...exchangeRecord({}), extra: 1 }))).toContain('additional properties');
    expect(mistakeInLine(line({ ...exchangeRecord({}), method: undefined }))).toContain('method');
    expect(mistakeInLine(line({ event: 'exchanged' }))).toContain('exchanged');
  });
});
