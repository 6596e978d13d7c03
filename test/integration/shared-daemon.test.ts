import { spawn } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;
/** A name that only the proxy answers. */
const OWN = 'http://mtlsd.test/';

describe('auth.users', () => {
  let daemon: RunningDaemon;
  let origin: Origin;
  const files = temporaryDirectory();

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(files, 'root');
    for (const name of ['alice', 'bob']) (await root.issue({ cn: name, eku: ['clientAuth'] })).write(files, name);
    const server = await root.issue({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    writeFileSync(join(files, 'alice.password'), 'wonderland\n');
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: hers, host: localhost, port: "*", profile: alice, cert: ${files}/alice.crt, key: ${files}/alice.key }
  - { name: his, host: localhost, port: "*", profile: bob, cert: ${files}/bob.crt, key: ${files}/bob.key }
trust: { system: false, ca: [${files}/root.crt] }
`,
      settings: `auth: { users: { alice: { file: ${files}/alice.password }, bob: { env: BOB_PASSWORD } } }`,
      env: { BOB_PASSWORD: 'builder' },
      secrets: ['wonderland', 'builder'],
    });
  });
  afterAll(() => Promise.all([daemon.stop(), origin.close()]));

  const ask = (user: string, ...more: string[]) =>
    curl(`https://localhost:${origin.port}/`, [
      '-x',
      daemon.proxy.replace('//', `//${user}@`),
      '--cacert',
      daemon.caFile,
      ...more,
    ]);

  test('each user gets the certificate of the profile of that name', async () => {
    for (const [user, cn] of [
      ['alice:wonderland', 'alice'],
      ['bob:builder', 'bob'],
    ] as const) {
      expect((await ask(user)).status).toBe(200);
      expect(origin.seen.at(-1)).toMatchObject({ client: cn });
    }
  });

  test.each([
    'alice:builder',
    'bob:wonderland',
    'carol:wonderland',
    ':wonderland',
    'alice',
    'constructor:x',
    '__proto__:x',
  ])('%s is refused', async (user) => {
    const seen = origin.seen.length;
    expect((await ask(user)).stderr).toContain('407');
    expect(origin.seen.length).toBe(seen);
  });

  test('naming the certificate of another user is refused as one that does not exist', async () => {
    const seen = origin.seen.length;
    const { body } = await ask('alice:wonderland', '-H', 'Mtlsd-Certificate: his');
    expect(body).toContain('no certificate is named "his"');
    expect(origin.seen.length).toBe(seen);
    expect((await ask('bob:builder', '-H', 'Mtlsd-Certificate: his')).status).toBe(200);
  });

  test('run gives the password of the user that --profile names, and asks for one without', async () => {
    const run = (...args: string[]) =>
      runMtlsd(['run', '--home', daemon.home, ...args, '--', 'curl', '-sS', OWN], { BOB_PASSWORD: 'builder' });
    expect(await run('--profile', 'bob')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('comes from mtlsd'),
    });
    expect((await run()).stderr).toContain(
      'the proxy has a password for each user, and no user is named\nnext: name one with --profile: alice, bob',
    );
    expect((await run('--profile', 'carol')).stderr).toContain('none for carol');
  });

  test('password and users together are a mistake', async () => {
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), 'auth: { password: { env: A }, users: { a: { env: A } } }');
    const { code, stderr } = await runMtlsd(['start', '--home', home]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('expected a mapping with either password or users')]);
  });
});

describe('a UNIX socket', () => {
  test('is 0660 with the group of its set-group-ID folder, and serves like a port', async () => {
    const dir = temporaryDirectory();
    const path = join(dir, 'proxy.sock');
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(dir, 0, 4242);
    chmodSync(dir, 0o2750);
    const umask = process.umask(0o077);
    const daemon = await startDaemon({ args: ['--listen', `unix:${path}`] }).finally(() => process.umask(umask));
    const { mode, gid } = statSync(path);
    expect([mode & 0o777, gid]).toEqual([0o660, isRoot ? 4242 : process.getgid?.()]);
    expect(await daemon.event('daemon.ready')).toMatchObject({
      unix_sockets: [`unix:${path}`],
      proxy: [daemon.proxy.slice(7)],
    });
    const through = spawn('curl', ['-sS', '--unix-socket', path, '--request-target', OWN, OWN], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect((await through.stdout.toArray()).join('')).toContain('comes from mtlsd');
    expect(await daemon.stop()).toBe(0);
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('is the only one printed with the variables', async () => {
    const dir = temporaryDirectory();
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), `listen: unix:${dir}/proxy.sock\nadmin: 127.0.0.1:0\n`);
    const child = spawn(process.execPath, [BIN, 'start', '--home', home], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) if (line.includes('daemon.ready')) break;
    const { code, stderr } = await runMtlsd(['env', '--home', home]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('the proxy listens on unix:')]);
    child.kill();
    await once(child, 'close');
  });
});

describe('ports that are taken', () => {
  test('--port auto takes others, and run follows', async () => {
    const other = createServer();
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), `listen: ${taken}\nadmin: ${taken}\n`);
    const refused = await runMtlsd(['start', '--home', home]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('take any with --port auto') });
    const child = spawn(process.execPath, [BIN, 'start', '--home', home, '--port', 'auto'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: child.stdout })) if (line.includes('daemon.ready')) break;
    const { proxy, admin } = JSON.parse(readFileSync(join(home, 'run.json'), 'utf8')) as {
      proxy: string[];
      admin: string;
    };
    expect(proxy[0]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect([proxy[0], admin.slice(7)]).not.toContain(taken);
    const { stdout } = await runMtlsd(['run', '--home', home, '--', 'curl', '-sS', OWN]);
    expect(stdout).toContain('comes from mtlsd');
    expect((await runMtlsd(['health', '--home', home])).code).toBe(0);
    child.kill();
    await once(child, 'close');
    other.close();
  });

  test('another word than auto is wrong usage', async () => {
    expect(await runMtlsd(['start', '--home', temporaryDirectory(), '--port', '99'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--port is "99"\nnext: expected one of auto'),
    });
  });
});

describe('sockets that a service manager has opened', () => {
  /** As systemd does: descriptor 3 is the socket, and LISTEN_PID the process itself. */
  async function activate(address: string, pid = '$$', settings = '') {
    const socket = createServer();
    await once(socket.listen(0, address), 'listening');
    const { port } = socket.address() as AddressInfo;
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n${settings}`);
    const { fd } = Reflect.get(socket, '_handle') as { fd: number };
    const child = spawn(
      'sh',
      ['-c', `LISTEN_PID=${pid} LISTEN_FDS=1 exec "$0" "$@"`, process.execPath, BIN, 'start', '--home', home],
      {
        stdio: ['ignore', 'pipe', 'pipe', fd],
      },
    );
    const closed = once(child, 'close');
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    let ready: { proxy: string[] } | null = null;
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (!line.includes('daemon.ready')) continue;
      ready = JSON.parse(line) as { proxy: string[] };
      break;
    }
    return {
      port,
      ready,
      stderr: () => stderr,
      async stop() {
        child.kill();
        socket.close();
        await closed;
      },
    };
  }

  test('are used in the place of listen', async () => {
    const { port, ready, stop } = await activate('127.0.0.1');
    expect(ready?.proxy).toEqual([`127.0.0.1:${port}`]);
    await stop();
  });

  test('that other machines reach are refused without a password', async () => {
    const open = await activate('0.0.0.0');
    await open.stop();
    expect(open.ready).toBeNull();
    expect(open.stderr()).toContain('listens on 0.0.0.0, which is reachable from other machines');
    const closed = await activate('0.0.0.0', '$$', 'auth: { password: { env: HOME } }\n');
    expect(closed.ready?.proxy).toEqual([`0.0.0.0:${closed.port}`]);
    await closed.stop();
  });

  test('of another process are left alone', async () => {
    const { port, ready, stop } = await activate('127.0.0.1', '1');
    expect(ready?.proxy).not.toEqual([`127.0.0.1:${port}`]);
    await stop();
  });
});
