import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScene, type Scene } from '../support/scene.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import type { Authority } from '../support/pki.ts';

describe('a changed store', () => {
  const files = temporaryDirectory();
  let scene: Scene;
  let origin: Origin;
  let root: Authority;
  let daemon: RunningDaemon;

  const store = (name: string, more = ''): string => `version: 1
certificates:
  - { name: only, host: localhost, port: "*", cert: ${files}/${name}.crt, key: ${files}/${name}.key }
trust: { system: false, ca: [${files}/root.crt] }
${more}`;

  beforeAll(async () => {
    scene = await createScene({ files, clients: ['first', 'second', 'renewed'], store: () => store('first') });
    ({ origin, daemon, root } = scene);
  });
  afterAll(() => scene.close());

  const client = async (): Promise<string | null> => (await curl(origin.url, through(daemon))).json<Seen>().client;

  test('is used for the next request, on new connections and never a pooled one', async () => {
    expect(await client()).toBe('first');
    expect(await client()).toBe('first');
    expect(origin.connections()).toBe(1); // pooled
    await daemon.replaceStore(store('second'));
    expect(await client()).toBe('second');
  });

  test('with a mistake changes nothing, and the log says where it is', async () => {
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
