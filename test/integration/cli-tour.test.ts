/** Types what docs/tour.md says and compares. With MTLSD_UPDATE_TOUR=1 it writes what came back into the document. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

const TOUR = new URL('../../docs/tour.md', import.meta.url);
const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

describe('docs/tour.md', () => {
  const desk = temporaryDirectory();
  let daemon: RunningDaemon;
  let origins: Origin[];

  beforeAll(async () => {
    const pki = await createPki();
    const partner = await pki.root({ subject: 'O=Partner, CN=Partner Root CA' });
    const alice = await partner.issue({ subject: 'O=Partner, CN=alice', eku: ['clientAuth'] });
    alice.write(desk, 'alice');
    execFileSync(
      'openssl',
      [
        'pkcs12',
        '-export',
        '-in',
        'alice.crt',
        '-inkey',
        'alice.key',
        '-out',
        'partner.p12',
        '-passout',
        'pass:open sesame',
      ],
      { cwd: desk },
    );
    writeFileSync(join(desk, 'partner.pass'), 'open sesame\n', { mode: 0o600 });
    const server = await partner.issue({ cn: 'api.partner.example', eku: ['serverAuth'] });
    const alone = await pki.selfSigned({ cn: 'dev.partner.example', eku: ['serverAuth'] });
    origins = [
      await nodeOrigin(
        { key: server.keyPem, cert: server.chainPem, ca: partner.certPem, requestCert: true, rejectUnauthorized: true },
        (_request, response, { client }) => {
          response.setHeader('content-type', 'application/json');
          response.end(`{ "orders": 3, "for": "${client}" }\n`);
        },
      ),
      await nodeOrigin({ key: alone.keyPem, cert: alone.certPem }, (_request, response) =>
        response.end('hello from dev\n'),
      ),
    ];
    // The partner's CA is one that the system trusts; the names lead to the origins here.
    writeFileSync(join(desk, 'system.pem'), [...rootCertificates, partner.certPem].join('\n'));
    daemon = await startDaemon({
      settings: `connect_to:\n  "api.partner.example:443": "127.0.0.1:${origins[0]?.port}"\n  "dev.partner.example:443": "127.0.0.1:${origins[1]?.port}"\n`,
      env: { SSL_CERT_FILE: join(desk, 'system.pem') },
    });
    const bin = join(desk, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'mtlsd'), `#!/bin/sh\nexec "${process.execPath}" "${BIN}" "$@"\n`, { mode: 0o755 });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...origins.map((origin) => origin.close())]);
  });

  test('says what happens', async () => {
    const document = readFileSync(TOUR, 'utf8');
    const updating = process.env.MTLSD_UPDATE_TOUR !== undefined;
    let updated = document;
    let exchange = '';
    for (const block of document.matchAll(/```console\n(.*?)```/gs)) {
      let shown = '';
      for (const command of commandsOf(block[1] ?? '')) {
        // Ids of the transcript are those of its own run.
        const typed = command.replace(/x-[0-9a-f]{8}-[0-9a-z]+/, exchange);
        const actual = command === 'mtlsd start' ? '' : told(await type(typed));
        exchange = /x-[0-9a-f]{8}-[0-9a-z]+/.exec(actual)?.[0] ?? exchange;
        shown += `$ ${typed}\n${actual}`;
      }
      updated = updated.replace(block[0], () => `\`\`\`console\n${shown}\`\`\``);
    }
    if (updating) writeFileSync(TOUR, updated);
    expect(plain(updated)).toBe(plain(updating ? updated : document));
  });

  function type(command: string): Promise<string> {
    const child = spawn('bash', ['-c', command], {
      cwd: desk,
      env: { ...process.env, PATH: `${join(desk, 'bin')}:${process.env.PATH}`, HOME: desk, MTLSD_HOME: daemon.home },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    return new Promise((resolve) => child.on('close', () => resolve(output)));
  }

  /** As it would be in a real home, on the usual ports. */
  function told(output: string): string {
    return output
      .replaceAll(daemon.home, '/home/you/.config/mtlsd')
      .replaceAll(desk, '/home/you')
      .replaceAll(daemon.proxy, 'http://127.0.0.1:8740')
      .replaceAll(daemon.admin, 'http://127.0.0.1:8741')
      .replace(/mtlsd local CA \(.*?,/g, 'mtlsd local CA (laptop\\,');
  }
});

/** What stands after `$ ` in a block. */
function commandsOf(block: string): string[] {
  return [...block.matchAll(/^\$ (.+)$/gm)].map(([, command = '']) => command);
}

/** Without what differs from run to run. */
function plain(output: string): string {
  return output
    .replace(/\b([0-9A-F]{2}:){19,}[0-9A-F]{2}\b/g, 'FINGERPRINT')
    .replace(/\b([cx])-[0-9a-f]{8}-[0-9a-z]+\b/g, '$1-ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replace(/\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?/g, 'TIME')
    .replace(/\b\d\d:\d\d:\d\d\b/g, 'TIME')
    .replace(/\b\d+(\.\d+)? ms\b/g, 'N ms')
    .replace(/(TCP|TLS|waited) \d+(\.\d+)?/g, '$1 N')
    .replace(/\b(process|version) [\d.]+/g, '$1 N')
    .replace(/(serial +)[0-9A-F]+/g, '$1SERIAL')
    .replace(/127\.0\.0\.1:\d{5}/g, '127.0.0.1:PORT')
    .replace(/\d+ trust anchors/g, 'N trust anchors')
    .replace(/\bin \d+ days\b/g, 'in N days')
    .replace(/ +/g, ' ');
}
