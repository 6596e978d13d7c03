import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { createPki } from '../support/pki.ts';

const start = (home: string, ...args: string[]) =>
  runMtlsd(['start', '--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args]);

const runFileOf = (home: string) => JSON.parse(readFileSync(join(home, 'run.json'), 'utf8')) as { pid: number };

async function kill(daemon: RunningDaemon): Promise<void> {
  const closed = once(daemon.process, 'close');
  daemon.process.kill('SIGKILL');
  await closed;
}

describe('a home that others can write to', () => {
  test.each([0o777, 0o775, 0o720])('is refused with the chmod that fixes it: %o', async (mode) => {
    const home = temporaryDirectory();
    chmodSync(home, mode);
    const { code, stderr, stdout } = await start(home);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe(
      `mtlsd: ${home} can be written by others (mode 0${mode.toString(8)})\nnext: chmod 700 ${home}\n`,
    );
    expect(existsSync(join(home, 'admin.token'))).toBe(false);
  });

  test('and that others can read alone is not', async () => {
    const home = temporaryDirectory();
    chmodSync(home, 0o755);
    const daemon = await startDaemon({ home });
    expect(await daemon.stop()).toBe(0);
  });
});

describe('two daemons for one home', () => {
  test('the second is refused with the address of the first, which continues', async () => {
    const home = temporaryDirectory();
    const first = await startDaemon({ home });
    const run = readFileSync(join(home, 'run.json'), 'utf8');
    const { code, stderr } = await start(home);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `mtlsd: a daemon runs for ${home} already: process ${first.process.pid}, proxy 127.0.0.1:${first.proxyPort}, admin ${first.admin}\n` +
        'next: mtlsd status shows it; stop it, or name another home with --home DIR\n',
    );
    expect(readFileSync(join(home, 'run.json'), 'utf8')).toBe(run);
    expect((await first.api('/healthz')).status).toBe(200);
    expect(statSync(join(home, 'run.lock')).mode & 0o777).toBe(0o600);
    expect(await first.stop()).toBe(0);
  });

  test('the first was killed: the next one starts, and its run.json replaces the old one', async () => {
    const home = temporaryDirectory();
    await kill(await startDaemon({ home }));
    expect(existsSync(join(home, 'run.json'))).toBe(true);
    const next = await startDaemon({ home });
    expect(runFileOf(home).pid).toBe(next.process.pid);
    expect(await next.stop()).toBe(0);
    expect(existsSync(join(home, 'run.json'))).toBe(false);
  });

  test('a process id that another program has by now does not prevent the start', async () => {
    const home = temporaryDirectory();
    writeFileSync(join(home, 'run.json'), JSON.stringify({ ...runFileThatLies, pid: process.pid }));
    const daemon = await startDaemon({ home });
    expect(runFileOf(home).pid).toBe(daemon.process.pid);
    expect(await daemon.stop()).toBe(0);
  });

  test('a run.json of another daemon stays', async () => {
    const home = temporaryDirectory();
    const daemon = await startDaemon({ home });
    writeFileSync(join(home, 'run.json'), JSON.stringify(runFileThatLies));
    expect(await daemon.stop()).toBe(0);
    expect(runFileOf(home)).toEqual(runFileThatLies);
  });
});

const runFileThatLies = { pid: 1, version: '0', proxy: ['127.0.0.1:1'], admin: 'http://127.0.0.1:1' };

describe('a UNIX socket for the admin API', () => {
  const health = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ socketPath: path, path: '/healthz', headers: { host: 'unix' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });

  test('is 0600 under any umask', async () => {
    const home = temporaryDirectory();
    const path = join(home, 'admin.sock');
    const umask = process.umask(0);
    const daemon = await startDaemon({ home, args: ['--admin', `unix:${path}`] });
    process.umask(umask);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'run.json')).mode & 0o777).toBe(0o600);
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('that a killed daemon left is replaced; a live one is refused and stays', async () => {
    const home = temporaryDirectory();
    const path = join(home, 'admin.sock');
    const args = ['--admin', `unix:${path}`];
    await kill(await startDaemon({ home, args }));
    expect(existsSync(path)).toBe(true);
    const daemon = await startDaemon({ home, args });
    expect(await health(path)).toBe(200);
    const { code, stderr } = await start(temporaryDirectory(), ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(`mtlsd: another program listens on ${path}, perhaps another mtlsd\nnext: `);
    expect(await health(path)).toBe(200);
    expect(await daemon.stop()).toBe(0);
  });

  test('is not made in the place of a file', async () => {
    const home = temporaryDirectory();
    const path = join(home, 'notes.txt');
    writeFileSync(path, 'mine');
    const { code, stderr } = await start(home, '--admin', `unix:${path}`);
    expect(code).toBe(2);
    expect(stderr).toContain(`${path} is there already, and is not a socket`);
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });
});

describe('SIGHUP', () => {
  test('reloads at once, where a change that is seen waits for the rest of a renewal', async () => {
    const home = temporaryDirectory();
    const pki = await createPki();
    const [alice, other] = await Promise.all(
      ['alice', 'other'].map((cn) => pki.selfSigned({ cn, eku: ['clientAuth'], freshKey: true })),
    );
    alice?.write(home, 'alice');
    const daemon = await startDaemon({
      home,
      store: 'version: 1\ncertificates:\n  - { name: alice, host: a.example, cert: alice.crt, key: alice.key }\n',
    });
    writeFileSync(join(home, 'alice.key'), other?.keyPem ?? '', { mode: 0o600 });
    const before = performance.now();
    daemon.process.kill('SIGHUP');
    expect(await daemon.event('store.problem')).toMatchObject({ name: 'alice' });
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(await daemon.stop()).toBe(0);
  });
});
