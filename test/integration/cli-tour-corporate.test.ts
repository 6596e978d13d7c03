/** Types docs/tour-corporate.md: a proxy with credentials, one that inspects TLS, the company's CA, a wrong passphrase, a PFX. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CorporateProxy, startCorporateProxy } from '../support/corporate-proxy.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { followTour } from '../support/tour.ts';

const TOUR = new URL('../../docs/tour-corporate.md', import.meta.url);

describe('docs/tour-corporate.md', () => {
  const desk = temporaryDirectory();
  let daemon: RunningDaemon;
  let origins: Origin[];
  let proxy: CorporateProxy;

  beforeAll(async () => {
    const pki = await createPki();
    const partner = await pki.root({ subject: 'O=Partner, CN=Partner Root CA' });
    const corp = await pki.root({ subject: 'O=Corp, CN=Corp Root CA' });
    writeFileSync(join(desk, 'corp-root.pem'), corp.certPem);
    (await partner.issue({ subject: 'O=Partner, CN=alice', sans: [], eku: ['clientAuth'] })).write(desk, 'alice');
    execFileSync(
      'openssl',
      'pkcs12 -export -in alice.crt -inkey alice.key -out partner.p12 -passout'.split(' ').concat('pass:open sesame'),
      { cwd: desk },
    );
    writeFileSync(join(desk, 'old.pass'), 'open barley\n', { mode: 0o600 });
    writeFileSync(join(desk, 'partner.pass'), 'open sesame\n', { mode: 0o600 });
    const api = await partner.issue({ cn: 'api.partner.example', eku: ['serverAuth'] });
    const inspected = await corp.issue({ cn: 'www.example', eku: ['serverAuth'] });
    origins = [
      await nodeOrigin(
        { key: api.keyPem, cert: api.chainPem, ca: partner.certPem, requestCert: true, rejectUnauthorized: true },
        (_request, response, { client }) => response.end(`{ "orders": 3, "for": "${client}" }\n`),
      ),
      // As a proxy that inspects TLS shows it: the name of the server, signed by the company.
      await nodeOrigin({ key: inspected.keyPem, cert: inspected.chainPem + corp.certPem }, (_request, response) =>
        response.end('hello\n'),
      ),
    ];
    proxy = await startCorporateProxy({
      credentials: 'alice:canary-proxy',
      routes: { 'api.partner.example:443': origins[0]?.port ?? 0, 'www.example:443': origins[1]?.port ?? 0 },
    });
    writeFileSync(join(desk, 'proxy.pass'), 'alice:canary-proxy\n', { mode: 0o600 });
    // The partner's server has a certificate of a CA that the system trusts.
    writeFileSync(join(desk, 'system.pem'), [...rootCertificates, partner.certPem].join('\n'));
    daemon = await startDaemon({
      settings: `upstream_proxy:
  - url: http://127.0.0.1:${proxy.port}
    credentials: { file: ${join(desk, 'proxy.pass')} }
`,
      env: { SSL_CERT_FILE: join(desk, 'system.pem') },
      secrets: ['canary-proxy', 'open sesame', 'open barley'],
    });
  });
  afterAll(async () => {
    await daemon.stop();
    await Promise.all([proxy.close(), ...origins.map((origin) => origin.close())]);
  });

  test('says what happens', async () => {
    const { actual, documented } = await followTour(TOUR, { desk, daemon, ports: [[proxy.port, 3128]] });
    expect(actual).toBe(documented);
    expect(origins[0]?.seen.at(-1)?.client).toBe('alice');
    expect([...new Set(proxy.targets)].toSorted()).toEqual(['api.partner.example:443', 'www.example:443']);
  });
});
