/**
 * Every line with `mtlsd …` in a code block of the README and of docs/ is typed, except in the tours, which have tests of
 * their own that compare the output too. A line that can't run here is listed in a comment before its block:
 * `<!-- not run: mtlsd start; mtlsd tail -->`. Those, the commands in the text and the examples of --help name only commands
 * and options that exist.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandTree } from '../../src/cli/command-tree.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const BIN = join(ROOT, 'bin/mtlsd.js');
/** They run until they are stopped, open a browser, need a shell or a CA that is not here. Raise it only with a reason. */
const MOST_NOT_RUN = 9;

interface Line {
  readonly page: string;
  readonly command: string;
  readonly isRun: boolean;
}

const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md') && !name.startsWith('docs/tour'))
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

const lines = pages.flatMap(({ name, text }) =>
  [...text.matchAll(/(?:<!-- not run: ([^>]*?) -->\n)?^ *```(?:sh|console)\n([^]*?)^ *```/gm)].flatMap(
    ([, marked = '', block = '']): Line[] =>
      commandsIn(block.replaceAll('\\\n', ' ')).map((command) => {
        const notRun = marked.split('; ').filter(Boolean);
        return { page: name, command, isRun: !notRun.some((start) => command.startsWith(start)) };
      }),
  ),
);

/** Without prompts, `npx`, and what a comment says. */
function commandsIn(block: string): string[] {
  return block
    .split('\n')
    .filter((line) => /(?:^|[\s(])mtlsd /.test(line.replace(/\s#.*/, '')))
    .map((line) =>
      line
        .trim()
        .replace(/^\$ /, '')
        .replace(/^npx /, '')
        .replace(/\s+# .*$/, ''),
    );
}

describe('the commands of README and docs/', () => {
  const desk = temporaryDirectory();
  let daemon: RunningDaemon;
  let origin: Origin;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    for (const folder of ['certs', 'bin']) mkdirSync(join(desk, folder));
    for (const name of ['root_ca', 'corp-root']) root.write(desk, name);
    (await root.issue({ cn: 'partner', eku: ['clientAuth'] })).write(join(desk, 'certs'), 'partner');
    const server = await root.issue({ cn: 'api.partner.example', sans: ['api.partner.example', 'api.corp.example'] });
    origin = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    daemon = await startDaemon({
      store: `version: 1\ntrust: { system: false, ca: [${desk}/corp-root.crt] }\n`,
      settings: `connect_to: { "api.partner.example:443": "127.0.0.1:${origin.port}" }\n`,
    });
    await pfx();
    writeFileSync(join(desk, 'bin/mtlsd'), `#!/bin/sh\nexec "${process.execPath}" "${BIN}" "$@"\n`, { mode: 0o755 });
    // What a browser would be opened with, on a machine that has one.
    writeFileSync(join(desk, 'bin/xdg-open'), '#!/bin/sh\n', { mode: 0o755 });
    await runMtlsd([
      'cert',
      'add',
      'corp.example',
      '--cert',
      `${desk}/certs/partner.crt`,
      '--key',
      `${desk}/certs/partner.key`,
      '--name',
      'corp',
      '--home',
      daemon.home,
    ]);
  });
  afterAll(() => Promise.all([daemon.stop(), origin.close()]));

  const pfx = () =>
    type('openssl pkcs12 -export -in certs/partner.crt -inkey certs/partner.key -out partner.p12 -passout pass:');

  function type(command: string): Promise<{ code: number | null; output: string }> {
    const child = spawn('bash', ['-c', command], {
      cwd: desk,
      env: { ...process.env, PATH: `${join(desk, 'bin')}:${process.env.PATH}`, HOME: desk, MTLSD_HOME: daemon?.home },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.stdin.end();
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
  }

  test.each(lines.filter(({ isRun }) => isRun))('$page: $command', { timeout: 60_000 }, async ({ command }) => {
    expect(await type(command)).toMatchObject({ code: 0 });
  });

  test('few are left out', () => {
    expect(lines.filter(({ isRun }) => isRun).length).toBeGreaterThan(5);
    expect(lines.filter(({ isRun }) => !isRun).length).toBeLessThanOrEqual(MOST_NOT_RUN);
  });
});

describe('every command that is named', async () => {
  const nodes = await commandTree(COMMANDS);
  const helps = await Promise.all(
    COMMANDS.map(async ({ name, load }) => {
      const command = await load();
      const texts = [command, ...command.commands].map((each) => {
        let help = '';
        each.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
        return /\nExamples?:\n([^]*)$/.exec(help)?.[1] ?? '';
      });
      return { page: `mtlsd ${name} --help`, text: texts.join('\n') };
    }),
  );
  const named = [
    ...lines.map(({ page, command }) => ({ page, command })),
    ...pages.flatMap(({ name, text }) =>
      [...text.matchAll(/`(mtlsd [a-z][^`\n]*)`/g)].map(([, command = '']) => ({ page: name, command })),
    ),
    ...helps.flatMap(({ page, text }) => commandsIn(text).map((command) => ({ page, command }))),
  ].flatMap(({ page, command }) =>
    // `cert add|set`, and several in a line.
    [...command.matchAll(/(?:^|[\s(])mtlsd ((?:[^|&()"';]|"[^"]*"|'[^']*'|(?<=\w)\|(?=\w))+)/g)].map(
      ([, words = '']) => ({
        page,
        words: words.trim().replace(/^--home \S+ /, ''),
      }),
    ),
  );

  test.each(named)('$page: mtlsd $words', ({ words }) => {
    const [first = '', second = ''] = words.split(/\s+/);
    for (const verb of second.split('|')) {
      const top = nodes.find(({ path }) => path.length === 1 && path[0] === first);
      expect(top, first).toBeDefined();
      const sub = nodes.find(({ path }) => path.length === 2 && path[0] === first && path[1] === verb);
      if ((top?.subcommands.length ?? 0) > 0 && /^[a-z]+$/.test(verb)) expect(sub, `${first} ${verb}`).toBeDefined();
      const known = [
        ...((sub ?? top)?.options.flatMap(({ flags }) => flags) ?? []),
        '--home',
        '--help',
        '--version',
        '-V',
      ];
      // What comes after the program of `run`, or after `--…-command`, is another program's.
      const own = words
        .replace(/ -- .*/, '')
        .replace(/(--[a-z-]+-command) .*/, '$1')
        .replace(/^run (--profile \S+ |--bypass \S+ |--start )*[^-\s].*/, 'run $1');
      for (const [flag] of own.matchAll(/(?<=\s)--?[a-z][a-z-]*/g)) expect(known, `${first} ${verb}`).toContain(flag);
    }
  });
});
