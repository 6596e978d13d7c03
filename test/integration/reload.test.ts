import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Origin, nodeOrigin, type Seen } from '../support/origins.ts';
import { type Authority, createPki } from '../support/pki.ts';

describe('a changed store', () => {
  const files = temporaryDirectory();
  let origin: Origin;
  let root: Authority;
  let daemon: RunningDaemon;

  const store = (name: string, more = ''): string => `version: 1
certificates:
  - { name: only, host: localhost, port: "*", cert: ${files}/${name}.crt, key: ${files}/${name}.key }
trust: { system: false, ca: [${files}/root.crt] }
${more}`;

  beforeAll(async () => {
    const pki = await createPki();
    root = await pki.root();
    root.write(files, 'root');
    const server = await root.issue({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    for (const name of ['first', 'second', 'renewed'])
      (await root.issue({ cn: name, eku: ['clientAuth'] })).write(files, name);
    daemon = await startDaemon({ store: store('first') });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  const client = async (): Promise<string | null> => (await curl(origin.url, through(daemon))).json<Seen>().client;

  test('is used for the next request, on new connections and never a pooled one', async () => {
    expect(await client()).toBe('first');
    expect(await client()).toBe('first');
    expect(origin.connections()).toBe(1); // pooled
    await daemon.replaceStore(store('second'));
    expect(await client()).toBe('second');
  });

  test('that is broken changes nothing, and the place is told', async () => {
    const connections = origin.connections();
    writeFileSync(join(daemon.home, 'certificates.yaml'), `${store('first')}\nverification:\n  mode: enforced\n`);
    const rejected = await daemon.event('store.rejected');
    expect(rejected.problems).toEqual([
      {
        file: join(daemon.home, 'certificates.yaml'),
        line: 7,
        column: 9,
        message: 'mode is "enforced"',
        expected: expect.stringContaining('enforce'),
      },
    ]);
    expect(await client()).toBe('second');
    expect(origin.connections()).toBe(connections);
  });

  test('a renewed certificate is used for the next connection, without a change of the store', async () => {
    await daemon.replaceStore(store('second', '# mended\nverification: { mode: report }\n'));
    expect(await client()).toBe('second');
    const renewed = await root.issue({ cn: 'renewed', eku: ['clientAuth'], freshKey: true });
    const from = daemon.log.length;
    mkdirSync(`${files}/next`);
    renewed.write(`${files}/next`, 'second');
    for (const name of ['second.crt', 'second.key']) renameSync(`${files}/next/${name}`, `${files}/${name}`);
    await daemon.event('store.loaded', (line) => daemon.log.indexOf(line) >= from);
    expect(await client()).toBe('renewed');
  });
});
