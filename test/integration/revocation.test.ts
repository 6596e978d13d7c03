/** Servers whose certificate was revoked: by CRLs in files and from URLs, and by OCSP staples, while the daemon runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CrlServer, startCrlServer } from '../support/crl-server.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, toldOf } from '../support/exchange.ts';
import { nginxOrigin } from '../support/nginx.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, type Authority, createPki, DAY, HOUR, type Issued } from '../support/pki.ts';
import { answers, freePort } from '../support/ports.ts';
import { crlOf, MUST_STAPLE, type StapleKind, stapleOf } from '../support/revocation.ts';
import { hasTool } from '../support/tools.ts';

const dir = temporaryDirectory();
let root: Authority;
let server: Issued;
let origin: Origin;
let daemon: RunningDaemon;

beforeAll(async () => {
  root = await (await createPki()).root({ key: 'rsa2048', cn: 'Revoking Root' });
  server = await root.issue({ freshKey: true });
  root.write(dir, 'root');
  origin = await nodeOrigin({ key: server.keyPem, cert: server.certPem });
  // A home that outlives the daemon.
  daemon = await startDaemon({ home: temporaryDirectory() });
});
afterAll(async () => {
  await daemon.stop();
  await origin.close();
});

const storeWith = (crl: string, revocation = 'when-known', host = ''): string =>
  `version: 1
trust: { system: false, ca: [${dir}/root.crt]${crl === '' ? '' : `, crl: ["${crl}"]`} }
verification: { revocation: ${revocation} }
${host}`;

let path = 0;
async function outcome(port = origin.port) {
  const at = `/${++path}`;
  const answer = await ask(daemon, `localhost:${port}`, { path: at });
  const { connection, exchange } = await toldOf(daemon, at);
  const codes = connection?.verification.problems.map(({ code }) => code) ?? [];
  return { status: answer.status, codes, connection, exchange };
}

describe('a CRL in a file', () => {
  const file = join(dir, 'root.crl');

  test('that lists the server refuses it with date and reason, also on connections that are there already', async () => {
    writeFileSync(file, await crlOf(root));
    await daemon.replaceStore(storeWith(file));
    const before = await outcome();
    expect(before).toMatchObject({ status: 200, codes: [] });
    expect(before.connection?.verification.revocation).toMatchObject({
      mode: 'when-known',
      status: 'good',
      staple: { status: 'absent' },
      crls: [{ depth: 0, status: 'good', source: file }],
    });
    const loads = daemon.log.filter(({ event }) => event === 'store.loaded').length;
    writeFileSync(file, await crlOf(root, { revoked: [server.x509] }));
    await daemon.event('store.loaded', () => daemon.log.filter(({ event }) => event === 'store.loaded').length > loads);
    const after = await outcome();
    expect(after).toMatchObject({ status: 502, codes: ['CERT_REVOKED'] });
    expect(after.connection?.connection).not.toBe(before.connection?.connection);
    const [problem] = after.connection?.verification.problems ?? [];
    expect(problem?.message).toMatch(
      /was revoked at \d{4}-\d\d-\d\dT[\d:]+Z, reason keyCompromise, as .*root\.crl says/,
    );
  });

  test('that is not of the issuer, or has expired, says nothing in when-known and refuses in required', async () => {
    const other = await (await createPki()).root({ key: 'rsa2048', cn: 'Revoking Root' });
    const contents = {
      CRL_SIGNATURE_FAILURE: await crlOf(other, { revoked: [server.x509] }),
      CRL_HAS_EXPIRED: await crlOf(root, { thisUpdate: ago(2 * DAY), nextUpdate: ago(DAY) }),
      CRL_NOT_YET_VALID: await crlOf(root, { thisUpdate: ago(-HOUR), nextUpdate: ago(-DAY) }),
    };
    for (const [code, content] of Object.entries(contents)) {
      const own = join(dir, `${code}.crl`);
      writeFileSync(own, content);
      await daemon.replaceStore(storeWith(own));
      const lenient = await outcome();
      expect([code, lenient.status, lenient.codes]).toEqual([code, 200, []]);
      expect(lenient.connection?.verification.revocation?.status).toBe('unknown');
      await daemon.replaceStore(storeWith(own, 'required'));
      const strict = await outcome();
      expect([strict.status, strict.codes]).toEqual([502, [code]]);
    }
    await daemon.replaceStore(storeWith('', 'required'));
    expect(await outcome()).toMatchObject({ status: 502, codes: ['UNABLE_TO_GET_CRL'] });
    await daemon.replaceStore(storeWith(join(dir, 'CRL_SIGNATURE_FAILURE.crl'), 'off'));
    expect((await outcome()).connection?.verification.revocation).toBeNull();
  });

  test('that has expired still tells what it revoked', async () => {
    const old = join(dir, 'old.crl');
    writeFileSync(old, await crlOf(root, { revoked: [server.x509], thisUpdate: ago(2 * DAY), nextUpdate: ago(DAY) }));
    await daemon.replaceStore(storeWith(old));
    expect(await outcome()).toMatchObject({ status: 502, codes: ['CERT_REVOKED'] });
  });

  test('is allowed for one host by a rule, and shown', async () => {
    const rules = `  rules: [{ host: localhost, port: "*", allow: [CERT_REVOKED] }]\n`;
    await daemon.replaceStore(
      storeWith(join(dir, 'old.crl')).replace('{ revocation: when-known }\n', `\n  revocation: when-known\n${rules}`),
    );
    const { status, connection } = await outcome();
    expect(status).toBe(200);
    expect(connection?.verification).toMatchObject({ authorized: false, allowed: ['CERT_REVOKED'] });
  });

  test('that is none, is a mistake in the store with its place', async () => {
    writeFileSync(join(dir, 'not.crl'), 'nothing');
    writeFileSync(join(daemon.home, 'certificates.yaml'), storeWith(join(dir, 'not.crl')));
    const line = await daemon.event('store.rejected', (each) => JSON.stringify(each).includes('not.crl'));
    expect(JSON.stringify(line.problems)).toMatch(/"line":2.*not\.crl holds no CRL/);
  });
});

describe('a CRL of a URL', () => {
  let crlServer: CrlServer;
  let url: string;

  beforeAll(async () => {
    crlServer = await startCrlServer();
    ({ url } = crlServer);
  });
  afterAll(() => crlServer.close());

  test('is fetched ahead, kept over a restart, and refuses the pooled connections of a server that it lists', async () => {
    crlServer.serve(await crlOf(root));
    await daemon.replaceStore(storeWith(url));
    await daemon.event('crl.updated', (line) => line.url === url);
    expect(await outcome()).toMatchObject({ status: 200, codes: [] });
    // Another daemon of the same home later: the server is gone, the CRL is here.
    crlServer.serve(await crlOf(root, { revoked: [server.x509], thisUpdate: ago(HOUR / 2) }));
    await daemon.replaceStore(storeWith(`${url}?again`));
    await daemon.event('crl.updated', (line) => line.url === `${url}?again`);
    expect(await outcome()).toMatchObject({ status: 502, codes: ['CERT_REVOKED'] });
    crlServer.serve((response) => response.writeHead(503).end());
    await daemon.stop();
    const before = crlServer.asked.length;
    daemon = await startDaemon({ home: daemon.home });
    expect(await outcome()).toMatchObject({ status: 502, codes: ['CERT_REVOKED'] });
    expect(crlServer.asked.length).toBe(before);
  });

  const forged = async (): Promise<string> => {
    const namesake = await (await createPki()).root({ key: 'rsa2048', cn: 'Revoking Root' });
    return crlOf(namesake, { revoked: [server.x509] });
  };

  test.each<[name: string, body: () => Promise<string> | Parameters<CrlServer['serve']>[0], why: RegExp]>([
    ['refuses', () => (response: ServerResponse) => response.writeHead(404).end(), /answered 404/],
    ['lies', () => 'garbage', /holds no CRL/],
    ['forges', forged, /is not signed by its issuer/],
  ])('whose server %s, is reported, and nothing waits for it', async (name, body, why) => {
    crlServer.serve(await body());
    await daemon.replaceStore(storeWith(`${url}?${name}`));
    const line = await daemon.event('crl.failed', (each) => each.url === `${url}?${name}`);
    expect(line.message).toMatch(why);
    expect(Date.parse(String(line.next))).toBeGreaterThan(Date.now());
    expect(await outcome()).toMatchObject({ status: 200, codes: [] });
  });

  test('whose server hangs, holds up neither store nor requests, nor the end of the daemon', async () => {
    const asking = new Promise<void>((resolve) => {
      crlServer.serve(() => resolve());
    });
    await daemon.replaceStore(storeWith(`${url}?hangs`));
    await asking;
    expect(await outcome()).toMatchObject({ status: 200, codes: [] });
    expect(await daemon.stop()).toBe(0);
    daemon = await startDaemon({ home: daemon.home });
  });
});

describe('an OCSP staple', () => {
  const EXPECTED: Record<StapleKind | 'absent', readonly [status: string, required: readonly string[]]> = {
    good: ['good', []],
    revoked: ['revoked', ['CERT_REVOKED']],
    unknown: ['unknown', ['OCSP_CERT_UNKNOWN']],
    stale: ['stale', ['OCSP_VERIFY_FAILED']],
    forged: ['invalid', ['OCSP_VERIFY_FAILED']],
    absent: ['absent', ['UNABLE_TO_GET_CRL']],
  };
  const KINDS = Object.keys(EXPECTED) as (keyof typeof EXPECTED)[];

  test.runIf(hasTool('nginx')).each(KINDS)('of nginx: %s', async (kind) => {
    const { cert, key } = server.write(dir, 'server');
    const extra = kind === 'absent' ? '' : `ssl_stapling on; ssl_stapling_file ${stapleOf(root, server.x509, kind)};`;
    const nginx = await nginxOrigin({ cert, key, clientCa: join(dir, 'root.crt'), verify: 'optional', extra });
    try {
      await expectOutcomes(nginx.port, kind);
    } finally {
      await nginx.close();
    }
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('of openssl s_server on %s: revoked', async (version) => {
    const { cert, key } = server.write(dir, 'server');
    const port = await freePort();
    const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
    const file = stapleOf(root, server.x509, 'revoked');
    const child = spawn(
      'openssl',
      ['s_server', '-accept', String(port), '-cert', cert, '-key', key, flag, '-www', '-status_file', file],
      { stdio: 'ignore' },
    );
    const end = once(child, 'close');
    try {
      for (let up = false; !up; ) up = await answers(port);
      await expectOutcomes(port, 'revoked');
    } finally {
      child.kill();
      await end;
    }
  });

  async function expectOutcomes(port: number, kind: keyof typeof EXPECTED): Promise<void> {
    const [status, required] = EXPECTED[kind];
    const revoked = kind === 'revoked';
    await daemon.replaceStore(storeWith(''));
    const lenient = await outcome(port);
    expect([lenient.status, lenient.codes]).toEqual(revoked ? [502, ['CERT_REVOKED']] : [200, []]);
    expect(lenient.connection?.verification.revocation?.staple.status).toBe(status);
    await daemon.replaceStore(storeWith('', 'required'));
    const strict = await outcome(port);
    expect([strict.status, strict.codes]).toEqual([required.length > 0 ? 502 : 200, required]);
  }

  test('that the certificate demands and the server does not send, is a problem', async () => {
    const demanding = await root.issue({ extensions: [MUST_STAPLE] });
    const other = await nodeOrigin({ key: demanding.keyPem, cert: demanding.certPem });
    await daemon.replaceStore(storeWith(''));
    expect(await outcome(other.port)).toMatchObject({ status: 502, codes: ['OCSP_VERIFY_NEEDED'] });
    await other.close();
  });
});
