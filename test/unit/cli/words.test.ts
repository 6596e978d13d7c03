import { describe, expect, test } from 'vitest';
import { EventParser } from '../../../src/core/event-stream.ts';
import { inDays, listed, pairs, table } from '../../../src/cli/output.ts';
import { exportLine } from '../../../src/cli/shell.ts';
import { parsePattern, parseTarget } from '../../../src/cli/target.ts';
import { fits, hasFailed } from '../../../src/inspect/records/filter.ts';
import { exchangeLine } from '../../../src/cli/words/record.ts';
import { exchangeRecord } from '../../support/records.ts';

describe('what a person types for a place', () => {
  test('a URL or a host, with the port of its scheme', () => {
    for (const [text, authority, scheme] of [
      ['https://API.example/path?q#f', 'api.example:443', 'https'],
      ['wss://api.example:8443/', 'api.example:8443', 'https'],
      ['api.example', 'api.example:443', 'https'],
      ['api.example:1', 'api.example:1', 'https'],
      ['http://api.example/', 'api.example:80', 'http'],
      ['https://user:secret@api.example/', 'api.example:443', 'https'],
      ['[::1]:8443', '[::1]:8443', 'https'],
    ] as const) {
      const target = parseTarget(text);
      expect([target.authority.text, target.scheme]).toEqual([authority, scheme]);
    }
    for (const text of ['', 'ftp://a.example', 'a b', 'a.example:0', 'a.example:70000', '::1:'])
      expect(() => parseTarget(text), text).toThrow(/invalid address|not a scheme/);
  });

  test('a pattern keeps its wildcards', () => {
    expect(parsePattern('*.corp.example:*')).toEqual({ host: '*.corp.example', port: '*' });
    expect(parsePattern('*')).toEqual({ host: '*', port: undefined });
    expect(parsePattern('https://api.example:8443/x')).toEqual({ host: 'api.example', port: 8443 });
    expect(parsePattern('[::1]:443')).toEqual({ host: '::1', port: 443 });
    expect(parsePattern('::1')).toEqual({ host: '::1', port: undefined });
    expect(() => parsePattern('a.example:http')).toThrow('invalid host');
  });
});

describe('what is printed', () => {
  test('tables are aligned, and an empty cell is still a column', () => {
    expect(
      table(
        ['A', 'LONG'],
        [
          ['wider', ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('A      LONG\nwider  -\nx      y\n');
  });

  test('pairs leave out absent values, and align the lines of a value', () => {
    expect(
      pairs([
        ['one', '1\n2'],
        ['none', null],
        ['longer', '3'],
      ]),
    ).toBe('one     1\n        2\nlonger  3\n');
  });

  test('numbers and lists in words', () => {
    expect([inDays(1), inDays(0), inDays(-2)]).toEqual(['in 1 day', 'today', '2 days ago']);
    expect([listed(['a']), listed(['a', 'b', 'c']), listed([])]).toEqual(['a', 'a, b and c', '']);
  });

  test('an exchange on one line, a failure with its reason', () => {
    const started = new Date(2026, 7, 1, 9, 5, 7).toISOString();
    expect(exchangeLine(exchangeRecord({ started, path: '/v1', certificate: 'partner' }))).toBe(
      '09:05:07  GET     api.example:443/v1  200  12 ms  partner  verified',
    );
    const error = { code: 'DNS_FAILED', message: 'no such name', hint: 'check the name', alert: null } as const;
    expect(exchangeLine(exchangeRecord({ started, status: null, error, exchange: 'x-1-2' }))).toBe(
      '09:05:07  GET     api.example:443/  ---  12 ms  -  DNS_FAILED\n          no such name; next: check the name  [x-1-2]',
    );
    expect(exchangeLine(exchangeRecord({ started, authorized: false }))).toContain('not verified');
  });

  test('a shell reads the value that was meant', () => {
    const hard = `it's $HOME \`x\` "y" \\`;
    expect(exportLine('sh', 'A', 'plain/value')).toBe('export A=plain/value');
    expect(exportLine('sh', 'A', hard)).toBe(`export A='it'\\''s $HOME \`x\` "y" \\'`);
    expect(exportLine('fish', 'A', hard)).toBe(`set -gx A 'it\\'s $HOME \`x\` "y" \\\\'`);
    expect(exportLine('powershell', 'A', hard)).toBe(`$env:A = 'it''s $HOME \`x\` "y" \\'`);
  });
});

describe('tail', () => {
  test('filters as the daemon does', () => {
    const record = exchangeRecord({ authority: '[::1]:8443', certificate: 'partner', status: 500 });
    for (const [filter, expected] of [
      [{}, true],
      [{ failed: true }, true],
      [{ host: '::1' }, true],
      [{ host: '[::1]:8443' }, true],
      [{ host: 'api.example' }, false],
      [{ certificate: 'other' }, false],
    ] as const)
      expect(fits(record, hasFailed(record), filter)).toBe(expected);
    expect(fits(exchangeRecord({}), false, { failed: true })).toBe(false);
  });

  test('reads events from pieces of any size', () => {
    const text =
      ': mtlsd\n\nid: r-1\nevent: exchange\ndata: {"a":"x: y"}\n\nevent: lost\ndata: {"count":2}\n\nid: r-9\n';
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new EventParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual([
        { id: 'r-1', event: 'exchange', data: '{"a":"x: y"}' },
        { id: 'r-1', event: 'lost', data: '{"count":2}' },
      ]);
    }
  });
});
