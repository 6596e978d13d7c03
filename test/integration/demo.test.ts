import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';

test('the demo shows which certificate the origin saw, and its curl lines work when copied', async () => {
  const child = spawn(process.execPath, ['bin/mtlsd.js', 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith('Log: ')) break;
  }
  const text = lines.join('\n');
  expect(text).toMatch(/the origin saw +CN=demo-client, issued by CN=mtlsd demo CA/);
  expect(text).toMatch(/the daemon sent +demo-client \(exact host and port\)/);
  expect(text).toMatch(/the origin's own +CN=localhost.*valid until/);
  const [withCertificate = '', without = ''] = lines.filter((line) => line.startsWith('  curl '));
  expect(JSON.parse(await shell(withCertificate))).toMatchObject({ client_certificate: { subject: 'CN=demo-client' } });
  expect(await shell(without)).toContain('CLIENT_CERTIFICATE_REQUIRED');
  const home = /home +(\S+)/.exec(text)?.[1] ?? '';
  expect(existsSync(home)).toBe(true);
  child.kill('SIGINT');
  await new Promise((resolve) => child.on('close', resolve));
  expect(existsSync(home)).toBe(false);
});

/** As a user who copies the line, with any proxy settings in the shell. */
function shell(line: string): Promise<string> {
  const child = spawn('sh', ['-c', `${line.trim()} --silent`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NO_PROXY: 'localhost' },
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  return new Promise((resolve) => child.on('close', () => resolve(out)));
}
