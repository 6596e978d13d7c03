import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';

const health = (home: string) => runMtlsd(['health', '--home', home]);

test('is 0 while the daemon takes connections, and 1 with the reason before and after', async () => {
  const home = temporaryDirectory();
  expect(await health(home)).toEqual({ code: 1, stdout: '', stderr: `no daemon runs for ${home}\n` });
  const daemon = await startDaemon({ home });
  const ready = { code: 0, stdout: `ready, admin API on ${daemon.admin}\n`, stderr: '' };
  expect(await health(home)).toEqual(ready);
  expect(await runMtlsd(['--home', home, 'health'])).toEqual(ready);
  expect(await runMtlsd(['health'], { MTLSD_HOME: home })).toEqual(ready);
  expect(await daemon.stop()).toBe(0);
  expect((await health(home)).code).toBe(1);
});

test('follows an admin API on a UNIX socket', async () => {
  const home = temporaryDirectory();
  const daemon = await startDaemon({ home, args: ['--admin', `unix:${join(home, 'admin.sock')}`] });
  expect(await health(home)).toMatchObject({ code: 0, stdout: `ready, admin API on unix:${home}/admin.sock\n` });
  await daemon.stop();
});

test.each([
  ['answers something else', 'HTTP/1.1 200 OK\r\n\r\nhello', 'does not answer'],
  ['closes at once', '', 'it closed the connection'],
  ['starts or drains', 'HTTP/1.1 503 Service Unavailable\r\n\r\n', 'not ready: the daemon starts or drains'],
  ['never ends its answer', 'x'.repeat(100_000), 'does not answer'],
])('a program on that port that %s is not healthy', async (_what, answer, message) => {
  const home = temporaryDirectory();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (answer.length > 1_000) socket.write(answer);
    else socket.end(answer);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  writeFileSync(join(home, 'run.json'), JSON.stringify({ admin: `http://127.0.0.1:${port}` }));
  const { code, stderr } = await health(home);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
  server.close();
  rmSync(home, { recursive: true });
});

test('loads nothing of the daemon', () => {
  // Modules that Node has not in its snapshot; a library or src/ among them would show here.
  const { stderr } = spawnSync(
    process.execPath,
    [
      '--import',
      'data:text/javascript,process.on("exit",()=>console.error(process.moduleLoadList.join()))',
      'bin/mtlsd.js',
      'health',
    ],
    { encoding: 'utf8', env: { ...process.env, MTLSD_HOME: '/nonexistent' } },
  );
  expect(stderr).toContain('no daemon runs');
  expect(stderr).not.toMatch(/NativeModule (http|https|tls|child_process|worker_threads)\b/);
});
