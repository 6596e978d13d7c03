/** A clock that moves around thisUpdate and nextUpdate of what says that a server is good: the verdict follows it, pooled connections too. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MovableClock, movableClock } from '../support/clock.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, askH2, toldOf } from '../support/exchange.ts';
import { h2Origin, type H2Origin } from '../support/h2-origin.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, ahead, type Authority, createPki, DAY, HOUR } from '../support/pki.ts';
import { crlOf, MUST_STAPLE, stapleOf } from '../support/revocation.ts';
import { hasTool } from '../support/tools.ts';

const dir = temporaryDirectory();

describe.skipIf(!hasTool('faketime'))('in mode required', () => {
  let clock: MovableClock;
  let daemon: RunningDaemon;
  let root: Authority;
  let origin: Origin;
  let h2: H2Origin;
  let stapling: Origin;
  /** Its certificate requires a staple; mode when-known. */
  let demanding: Origin;
  let finish = (): void => {};

  beforeAll(async () => {
    clock = movableClock();
    const life = { notBefore: ago(DAY), notAfter: ahead(DAY) };
    root = await (await createPki()).root({ key: 'rsa2048', ...life });
    root.write(dir, 'root');
    const plain = await root.issue(life);
    const must = await root.issue({ ...life, extensions: [MUST_STAPLE] });
    writeFileSync(join(dir, 'root.crl'), await crlOf(root, { thisUpdate: ago(0), nextUpdate: ahead(HOUR) }));
    origin = await nodeOrigin({ key: plain.keyPem, cert: plain.certPem });
    h2 = await h2Origin({ key: plain.keyPem, cert: plain.certPem }, (stream, { headers }) => {
      stream.respond({ ':status': 200 });
      stream.write('be');
      if (headers[':path'] === '/long') finish = () => stream.end('gun');
      else stream.end('gun');
    });
    stapling = await nodeOrigin({ key: plain.keyPem, cert: plain.certPem });
    demanding = await nodeOrigin({ key: must.keyPem, cert: must.certPem });
    // `openssl ocsp -nmin 60`: good for an hour.
    for (const [{ server }, leaf] of [
      [stapling, plain],
      [demanding, must],
    ] as const) {
      const staple = readFileSync(stapleOf(root, leaf.x509, 'good'));
      server.on('OCSPRequest', (_certificate, _issuer, done: (error: null, response: Buffer) => void) =>
        done(null, staple),
      );
    }
    for (const { server } of [origin, stapling, demanding]) server.keepAliveTimeout = 120_000;
    const rules = [origin, h2].map(
      ({ port }) =>
        `    - { host: localhost, port: ${port}, trust: { ca: [${dir}/root.crt], crl: [${dir}/root.crl], system: false } }\n`,
    );
    daemon = await startDaemon({
      env: clock.env,
      store: `version: 1
trust: { system: false, ca: [${dir}/root.crt] }
verification:
  revocation: required
  rules:
${rules.join('')}    - { host: localhost, port: ${demanding.port}, revocation: when-known }
`,
      settings: 'timeouts: { keep_alive: 2m }\n',
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...[origin, h2, stapling, demanding].map((each) => each.close())]);
  });

  let count = 0;
  async function outcome(port: number, send = ask) {
    const path = `/${++count}`;
    const { status } = await send(daemon, `localhost:${port}`, { path });
    const { exchange, connection } = await toldOf(daemon, path);
    const codes = connection?.verification.problems.map(({ code }) => code) ?? [];
    return { status, reused: exchange.reused, codes };
  }
  const POOLED = { status: 200, reused: true, codes: [] };
  const NEW = { status: 200, reused: false, codes: [] };
  const refused = (code: string) => ({ status: 502, reused: false, codes: [code] });
  const warm = async (port: number, send = ask): Promise<void> => {
    expect(await outcome(port, send)).toMatchObject({ status: 200 });
    expect(await outcome(port, send)).toEqual(POOLED);
  };

  test('a pooled connection is used until its CRL ends, and never after that', async () => {
    clock.set('+0');
    await warm(origin.port);
    clock.set('+55m');
    expect(await outcome(origin.port)).toEqual(POOLED);
    clock.set('+65m');
    expect(await outcome(origin.port)).toEqual(refused('CRL_HAS_EXPIRED'));
    clock.set('+55m');
    expect(await outcome(origin.port)).toEqual(NEW);
  });

  test('an HTTP/2 connection too; what is under way on it finishes', async () => {
    clock.set('+0');
    await warm(h2.port, askH2);
    const reached = new Promise<void>((resolve) => h2.server.once('stream', () => resolve()));
    const long = askH2(daemon, `localhost:${h2.port}`, { path: '/long' });
    await reached;
    clock.set('+65m');
    expect(await outcome(h2.port, askH2)).toEqual(refused('CRL_HAS_EXPIRED'));
    finish();
    expect(await long).toMatchObject({ status: 200, body: 'begun' });
  });

  test('a clock that is five minutes slow does no harm, and one that is slower refuses', async () => {
    clock.set('+0');
    await warm(origin.port);
    clock.set('-4m');
    expect(await outcome(origin.port)).toEqual(POOLED);
    clock.set('-6m');
    expect(await outcome(origin.port)).toEqual(refused('CRL_NOT_YET_VALID'));
    clock.set('-4m');
    expect(await outcome(origin.port)).toEqual(NEW);
  });

  test.each([
    ['required', () => stapling.port, 'OCSP_VERIFY_FAILED'],
    ['when-known with a certificate that requires it', () => demanding.port, 'OCSP_VERIFY_NEEDED'],
  ])('a pooled connection is used as long as its staple is good: %s', async (_mode, port, code) => {
    clock.set('+0');
    await warm(port());
    clock.set('+55m');
    expect(await outcome(port())).toEqual(POOLED);
    clock.set('+65m');
    expect(await outcome(port())).toEqual(refused(code));
    clock.set('-6m');
    expect(await outcome(port())).toEqual(refused(code));
    clock.set('+0');
    expect(await outcome(port())).toEqual(NEW);
  });

  test('a new CRL is used for the next connection, with any clock', async () => {
    clock.set('+2h');
    expect(await outcome(origin.port)).toEqual(refused('CRL_HAS_EXPIRED'));
    const loads = () => daemon.log.filter(({ event }) => event === 'store.loaded').length;
    const before = loads();
    writeFileSync(join(dir, 'root.crl'), await crlOf(root, { thisUpdate: ago(0), nextUpdate: ahead(3 * HOUR) }));
    await daemon.event('store.loaded', () => loads() > before);
    expect(await outcome(origin.port)).toEqual(NEW);
  });
});
