import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { startDaemon, temporaryDirectory } from '../support/daemon.ts';

interface Service {
  readonly command: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly depends_on?: unknown;
}
const compose = parse(readFileSync(new URL('../../deploy/compose/compose.yaml', import.meta.url), 'utf8')) as {
  services: { mtlsd: Service; client: Service };
  configs: { settings: { content: string } };
  volumes: object;
};

test("compose.yaml: the daemon takes its settings, and the client's command gets an answer with the password of both", async () => {
  const { mtlsd, client } = compose.services;
  const publicDir = temporaryDirectory();
  // `${NAME:-default}`, as Compose fills it in without an .env.
  const fill = (text: string): string => text.replace(/\$\{\w+:-([^}]*)\}/g, '$1');
  const daemon = await startDaemon({
    settings: compose.configs.settings.content.replace('/var/lib/mtlsd-public', publicDir).replace(':9464', ':0'),
    env: Object.fromEntries(Object.entries(mtlsd.environment).map(([name, value]) => [name, fill(value)])),
    secrets: ['change-me'],
  });
  const [node = '', ...args] = [...(client.entrypoint ?? []), ...client.command];
  expect(node).toBe('node');
  const ask = async (proxy: string): Promise<string> => {
    const child = spawn(process.execPath, args, {
      env: { HTTPS_PROXY: proxy, NODE_EXTRA_CA_CERTS: join(publicDir, 'ca.pem') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return (await Promise.all([child.stdout.toArray(), child.stderr.toArray()])).flat().join('');
  };
  const proxy = fill(client.environment.HTTPS_PROXY ?? '').replace('mtlsd:8740', daemon.proxy.slice('http://'.length));
  expect(await ask(proxy)).toContain('this answer comes from mtlsd');
  expect(await ask(proxy.replace('change-me', 'wrong'))).toContain('407');
  await daemon.stop();
});

test('compose.yaml: the client waits for the health check, and mounts only what is public', () => {
  const { client, mtlsd } = compose.services;
  expect(client.depends_on).toEqual({ mtlsd: { condition: 'service_healthy' } });
  expect(client.volumes).toEqual(['public:/public:ro']);
  for (const volume of [...mtlsd.volumes, ...client.volumes])
    expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
});
