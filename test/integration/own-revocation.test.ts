/** Our own certificates, when the CRL that they name lists them: `cert inspect` and `doctor` warn, and never fail for it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OwnRevocationList } from '../../src/admin/routes/revocation.ts';
import type { InspectAnswer } from '../../src/admin/schemas/certificate.ts';
import { adminClient } from '../support/admin.ts';
import { type CrlServer, startCrlServer } from '../support/crl-server.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ago, type Authority, createPki, DAY, HOUR, type Issued, type Pki } from '../support/pki.ts';
import { freePort } from '../support/ports.ts';
import { crlOf } from '../support/revocation.ts';

const files = temporaryDirectory();
const home = temporaryDirectory();
let pki: Pki;
let root: Authority;
let server: CrlServer;
let alice: Issued;
let daemon: RunningDaemon;

const naming = (...urls: string[]) => ({
  cn: 'alice',
  eku: ['clientAuth'],
  freshKey: true,
  crls: urls,
});

beforeAll(async () => {
  pki = await createPki();
  server = await startCrlServer();
  root = await pki.root({ key: 'rsa2048', cn: 'Client Root' });
  root.write(files, 'root');
  alice = await root.issue(naming(server.url));
  alice.write(files, 'alice');
  writeFileSync(join(files, 'whole.crt'), alice.certPem + root.certPem);
  daemon = await startDaemon({ home, store: 'version: 1\n' });
});
afterAll(async () => {
  server.close();
  await daemon.stop();
});

const at = (name: string): string => join(files, name);

describe('cert inspect', () => {
  async function inspect(cert: string, where = temporaryDirectory(), key = 'alice.key') {
    const ran = await runMtlsd(['cert', 'inspect', at(cert), '--key', at(key), '--home', where]);
    expect(ran.code).toBe(0);
    return ran.stdout;
  }

  test('says when and why the CRL lists it, verified by the issuer in the file, and what to do', async () => {
    server.serve(await crlOf(root, { revoked: [alice.x509] }));
    expect(await inspect('whole.crt')).toMatch(
      /^Usable as a client certificate\.[^]*\nwarning CERTIFICATE_REVOKED: CN=alice: the certificate was revoked at \d{4}-\d\d-\d\dT[\d:]+Z, reason keyCompromise, as http:\/\/127\.0\.0\.1:\d+\/root\.crl says\n {2}next: get a new certificate from its CA/,
    );
    const { code, stdout } = await runMtlsd(['cert', 'inspect', at('whole.crt'), '--key', at('alice.key'), '--json']);
    const { usable, problems } = JSON.parse(stdout) as InspectAnswer;
    expect([code, usable, problems.map((problem) => `${problem.severity} ${problem.code}`)]).toEqual([
      0,
      true,
      ['warning CERTIFICATE_REVOKED'],
    ]);
  });

  test('says that it is not revoked, verified by an issuer that the store trusts', async () => {
    server.serve(await crlOf(root));
    const where = temporaryDirectory();
    writeFileSync(join(where, 'certificates.yaml'), `version: 1\ntrust: { system: false, ca: [${at('root.crt')}] }\n`);
    const said = await inspect('alice.crt', where);
    expect(said).toMatch(/^revoked +no, as http:\S+ says$/m);
    expect(said).not.toMatch(/^(?:warning|error) /m);
  });

  test('says that the signature is not verified where the issuer is not known', async () => {
    server.serve(await crlOf(root, { revoked: [alice.x509] }));
    const doubt =
      'its signature is not verified, since the certificate of CN=Client Root is neither in the file nor trusted';
    expect(await inspect('alice.crt')).toMatch(
      new RegExp(`warning CERTIFICATE_REVOKED: .* reason keyCompromise, .* says; ${doubt}`),
    );
    server.serve(await crlOf(root));
    const said = await inspect('alice.crt');
    expect(said).toMatch(new RegExp(`warning REVOCATION_UNKNOWN: .* does not list it, and ${doubt}`));
    expect(said).not.toMatch(/^revoked/m);
  });

  test.each([
    [
      'is forged',
      async () => crlOf(await pki.root({ key: 'rsa2048', cn: 'Client Root' }), { revoked: [alice.x509] }),
      /did not sign/,
    ],
    ['has expired', () => crlOf(root, { thisUpdate: ago(2 * DAY), nextUpdate: ago(DAY) }), /was valid until/],
    [
      'is of another CA',
      async () => crlOf(await pki.root({ key: 'rsa2048', cn: 'Other' })),
      /no CRL of CN=Client Root/,
    ],
    ['is a page', () => Promise.resolve('<html>404</html>'), /holds no CRL/],
  ])('a CRL that %s neither revokes nor clears it', async (_what, crl, why) => {
    server.serve(await crl());
    const said = await inspect('whole.crt');
    expect(said).toMatch(/warning REVOCATION_UNKNOWN: whether CN=alice is revoked is not known: /);
    expect(said).toMatch(why);
    expect(said).toMatch(/next: look at the CRL: curl -sS http:\S+ \| openssl crl -inform DER -noout -text/);
    expect(said).not.toMatch(/CERTIFICATE_REVOKED|^revoked/m);
  });

  test('goes on without the server, to the next URL that the certificate names', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}/a.crl`;
    (await root.issue(naming(nobody))).write(files, 'offline');
    expect(await inspect('offline.crt', undefined, 'offline.key')).toMatch(
      /REVOCATION_UNKNOWN: .*a\.crl can't be fetched: 127\.0\.0\.1:\d+ refused the connection/,
    );
    server.serve(await crlOf(root));
    const second = await root.issue(naming('ldap://127.0.0.1/cn=x', nobody, server.url));
    second.write(files, 'second');
    writeFileSync(at('second-whole.crt'), second.certPem + root.certPem);
    expect(await inspect('second-whole.crt', undefined, 'second.key')).toMatch(/^revoked +no, as /m);
  });

  test('sends no request if the certificate names no CRL by http', async () => {
    (await root.issue({ cn: 'plain', eku: ['clientAuth'], freshKey: true })).write(files, 'plain');
    const before = server.asked.length;
    expect(await inspect('plain.crt', undefined, 'plain.key')).not.toMatch(/REVO|^revoked/m);
    expect(server.asked.length).toBe(before);
  });

  test('reaches the server by way of upstream_proxy', async () => {
    server.serve(await crlOf(root));
    const far = await root.issue(naming('http://crl.corp.example/root.crl'));
    far.write(files, 'far');
    writeFileSync(at('far-whole.crt'), far.certPem + root.certPem);
    const where = temporaryDirectory();
    writeFileSync(join(where, 'mtlsd.yaml'), `upstream_proxy: { url: "http://127.0.0.1:${server.port}" }\n`);
    expect(await inspect('far-whole.crt', where, 'far.key')).toMatch(/^revoked +no, as http:\/\/crl\.corp\.example/m);
    expect(server.asked.at(-1)).toBe('http://crl.corp.example/root.crl');
  });

  test('says so where the settings are wrong', async () => {
    const where = temporaryDirectory();
    writeFileSync(join(where, 'mtlsd.yaml'), 'upstream_proxy: 7\n');
    expect(await inspect('whole.crt', where)).toMatch(/REVOCATION_UNKNOWN: .*can't be fetched: \S+mtlsd\.yaml:1:17: /);
  });
});

describe('doctor', () => {
  interface Finding {
    readonly check: string;
    readonly state: string;
    readonly message: string;
    readonly next: string | null;
  }
  const doctor = async (): Promise<Finding[]> => {
    const { stdout } = await runMtlsd(['doctor', '--no-clients', '--json', '--home', home]);
    return (JSON.parse(stdout) as Finding[]).filter(({ check }) => check === 'revocation');
  };
  const entry = (name: string, host: string, more = ''): string =>
    `  - { name: ${name}, host: ${host}, cert: ${at('whole.crt')}, key: ${at('alice.key')}${more} }\n`;

  test('says it of each entry, asks once for each CRL, and its next step works when typed', async () => {
    server.serve(await crlOf(root, { revoked: [alice.x509] }));
    const entries = entry('one', 'a.example') + entry('two', 'b.example', ', renew: { command: ["false"] }');
    await daemon.replaceStore(`version: 1\ncertificates:\n${entries}${entry('off', 'c.example', ', enabled: false')}`);
    const before = server.asked.length;
    const findings = await doctor();
    expect(server.asked.length).toBe(before + 1);
    expect(findings).toMatchObject([
      { state: 'warning', next: 'get a new certificate from its CA, then: mtlsd cert set one --cert FILE --key FILE' },
      { state: 'warning', next: 'renew it: mtlsd cert renew two' },
    ]);
    expect(findings[0]?.message).toMatch(
      /^one: CN=alice: the certificate was revoked at .*, reason keyCompromise, as /,
    );

    const { body } = await (await adminClient(daemon)).call<OwnRevocationList>('GET', '/api/v1/revocation');
    expect(body.certificates).toMatchObject([
      { name: 'one', status: 'revoked', url: server.url, problem: { code: 'CERTIFICATE_REVOKED' } },
      { name: 'two', problem: { hint: 'renew it: POST /api/v1/certificates/two/renew' } },
    ]);

    const renewed = await root.issue({ ...naming(server.url), cn: 'alice', serial: '77' });
    renewed.write(files, 'renewed');
    writeFileSync(at('renewed-whole.crt'), renewed.certPem + root.certPem);
    const set = ['--cert', at('renewed-whole.crt'), '--key', at('renewed.key'), '--home', home];
    for (const name of ['one', 'two']) expect(await runMtlsd(['cert', 'set', name, ...set])).toMatchObject({ code: 0 });
    expect(await doctor()).toMatchObject([{ state: 'ok', message: '2 certificates looked up: no CRL lists any' }]);
  });

  test('says what could not be checked, and the same without a daemon', async () => {
    server.serve((response) => response.writeHead(503).end());
    const told = await doctor();
    expect(told).toMatchObject([{ state: 'warning' }, { state: 'warning' }]);
    expect(told[0]?.message).toMatch(/^one: whether CN=alice is revoked is not known: \S+ answered 503$/);
    await daemon.stop();
    expect(await doctor()).toEqual(told);
    server.serve(await crlOf(root, { thisUpdate: ago(HOUR / 2) }));
    expect(await doctor()).toMatchObject([{ state: 'ok' }]);
    daemon = await startDaemon({ home });
  });
});
