import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { followTour } from '../support/tour.ts';

const TOUR = new URL('../../docs/tour.md', import.meta.url);

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
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...origins.map((origin) => origin.close())]);
  });

  test('says what happens', async () => {
    const { actual, documented } = await followTour(TOUR, { desk, daemon });
    expect(actual).toBe(documented);
  });
});
