import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runMtlsd, temporaryDirectory } from '../support/daemon.ts';

/** Starts on invalid files; the process must end by itself. */
async function start(
  files: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number | null; lines: string[]; stdout: string }> {
  const home = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(home, name, '..'), { recursive: true });
    writeFileSync(join(home, name), text, { mode: 0o600 });
  }
  const result = await runMtlsd([
    'start',
    '--home',
    home,
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    ...args,
  ]);
  const lines = result.stderr.replaceAll(home, 'HOME').trimEnd().split('\n');
  expect(result.stderr).not.toMatch(/^\s+at /m);
  return { code: result.code, lines, stdout: result.stdout };
}

describe('mtlsd.yaml', () => {
  test.each([
    [
      'log: { level: loud }',
      'mtlsd: HOME/mtlsd.yaml:1:15: level is "loud"; expected debug, info, warn, error or silent',
    ],
    [
      'limits:\n  connections: none',
      'mtlsd: HOME/mtlsd.yaml:2:16: connections is "none"; expected a whole number from 1 to 10000000',
    ],
    [
      'timeouts: { connect: 10 }',
      'mtlsd: HOME/mtlsd.yaml:1:22: connect is 10; expected a duration such as 500ms, 30s, 5m or 1h',
    ],
    ['lisen: 127.0.0.1:1', 'mtlsd: HOME/mtlsd.yaml:1:1: "lisen" is not known here; expected one of listen, '],
    ['log:\n  format: [json', 'mtlsd: HOME/mtlsd.yaml:2:'],
    ['- a list', 'mtlsd: HOME/mtlsd.yaml:1:1: the file is a list; expected'],
    ['overrides: "yes"', 'mtlsd: HOME/mtlsd.yaml:1:12: overrides is "yes"; expected true or false'],
    ['connect_to: { "a b": c }', 'mtlsd: HOME/mtlsd.yaml: connect_to: "a b" is neither HOST nor HOST:PORT'],
  ])('%s', async (text, line) => {
    const { code, lines } = await start({ 'mtlsd.yaml': text });
    expect(code).toBe(2);
    expect(lines[0]).toContain(line);
  });

  test('every mistake has its own line', async () => {
    const { code, lines } = await start({ 'mtlsd.yaml': 'log: { level: loud, format: xml }\nnon_tls: maybe\n' });
    expect(code).toBe(2);
    expect(lines).toHaveLength(3);
  });
});

describe('certificates.yaml', () => {
  test.each([
    ['version: 2', 'mtlsd: certificates.yaml:1:10: '],
    [
      'version: 1\ncertificates:\n  - { name: a, host: "https://a.example/", cert: a, key: b }',
      'mtlsd: certificates.yaml:3:22: host is "https://a.example/"; expected the host alone: a.example',
    ],
    ['version: 1\ntrust: { ca: [missing.pem] }', 'mtlsd: certificates.yaml:2:15: '],
    ['version: 1\nverification:\n  rules:\n    - { host: a.example, mode: off }', 'mtlsd: certificates.yaml:4:32: '],
    ['version: 1\n\tx: 1', 'mtlsd: certificates.yaml:2:1'],
  ])('%s', async (text, line) => {
    const { code, lines } = await start({ 'certificates.yaml': text });
    expect(code).toBe(2);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(line);
  });
});

describe('flags and files', () => {
  test.each([
    [['--listen', 'everywhere:1'], '--listen: "everywhere:1" is a name, not an address'],
    [['--listen', '0.0.0.0:0'], '0.0.0.0 is reachable from other machines'],
    [['--admin', '0.0.0.0:0'], 'the admin API listens on loopback only'],
    [['--log-level', 'loud'], '--log-level is "loud"'],
  ])('%j', async (args, text) => {
    const home = temporaryDirectory();
    const { code, stderr } = await runMtlsd(['start', '--home', home, '--admin', '127.0.0.1:0', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(text);
    expect(stderr).toMatch(/^next: /m);
  });

  test('an unknown option or command is wrong usage', async () => {
    expect((await runMtlsd(['start', '--nonsense'])).code).toBe(2);
    expect((await runMtlsd(['nonsense'])).code).toBe(2);
    expect((await runMtlsd(['--help'])).code).toBe(0);
  });

  test('a CA key that others can read is refused', async () => {
    const home = temporaryDirectory();
    const first = await runMtlsd([
      'start',
      '--home',
      home,
      '--listen',
      '127.0.0.1:0',
      '--admin',
      'unix:/nonexistent/folder/sock',
    ]);
    expect(first.code).toBe(2); // made the CA, then failed on the address
    chmodSync(join(home, 'ca/ca.key'), 0o644);
    const { code, stderr } = await runMtlsd([
      'start',
      '--home',
      home,
      '--listen',
      '127.0.0.1:0',
      '--admin',
      '127.0.0.1:0',
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ca\.key .*(0644|readable|wider)/);
    expect(stderr).toMatch(/chmod/);
  });
});
