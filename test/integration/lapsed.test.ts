/**
 * Certificates that end while connections made with them are pooled: those connections carry no new request, and the
 * next connection gets the verdict of that moment.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, askH2, toldOf } from '../support/exchange.ts';
import { h2Origin, type H2Origin } from '../support/h2-origin.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ahead, createPki } from '../support/pki.ts';

/** Enough for the requests before the end on a busy machine. */
const LIFE_MS = 10_000;

const files = temporaryDirectory();
let end: Date;
let daemon: RunningDaemon;
/** Its own certificate ends. */
let plain: Origin;
/** The certificate of its issuer ends; HTTP/2. */
let h2: H2Origin;
/** A rule lets CERT_HAS_EXPIRED through. */
let allowed: Origin;
/** Our certificate for it ends. */
let strict: Origin;
let finish = (): void => {};

beforeAll(async () => {
  const root = await (await createPki()).root();
  root.write(files, 'root');
  end = ahead(LIFE_MS);
  const short = await root.issue({ notAfter: end });
  const long = await root.issue();
  const shortIssuer = await (await root.intermediate({ notAfter: end })).issue();
  (await root.issue({ cn: 'client', eku: ['clientAuth'], notAfter: end })).write(files, 'client');
  plain = await nodeOrigin({ key: short.keyPem, cert: short.certPem });
  allowed = await nodeOrigin({ key: short.keyPem, cert: short.certPem });
  strict = await nodeOrigin({
    ...{ key: long.keyPem, cert: long.certPem, ca: root.certPem },
    ...{ requestCert: true, rejectUnauthorized: true },
  });
  h2 = await h2Origin({ key: shortIssuer.keyPem, cert: shortIssuer.chainPem }, (stream, { headers }) => {
    stream.respond({ ':status': 200 });
    stream.write('be');
    if (headers[':path'] === '/long') finish = () => stream.end('gun');
    else stream.end('gun');
  });
  for (const { server } of [plain, allowed, strict]) server.keepAliveTimeout = 60_000;
  daemon = await startDaemon({
    store: `version: 1
certificates: [{ name: ours, host: localhost, port: ${strict.port}, cert: ${files}/client.crt, key: ${files}/client.key }]
trust: { system: false, ca: [${files}/root.crt] }
verification: { rules: [{ host: localhost, port: ${allowed.port}, allow: [CERT_HAS_EXPIRED] }] }
`,
    settings: 'timeouts: { keep_alive: 1m }\n',
  });
});
afterAll(async () => {
  await Promise.all([daemon.stop(), ...[plain, h2, allowed, strict].map((origin) => origin.close())]);
});

const outcome = async (port: number, path: string, send = ask) => {
  const { status } = await send(daemon, `localhost:${port}`, { path });
  const { exchange, connection } = await toldOf(daemon, path);
  return {
    status,
    reused: exchange.reused,
    error: exchange.error?.code ?? null,
    problems: connection?.verification.problems.map(({ code, depth }) => `${code} ${depth}`) ?? [],
  };
};
const FINE = { status: 200, reused: true, error: null, problems: [] };

test('a pooled connection is used until a certificate of either side ends, and never after that', async () => {
  for (const { port } of [plain, allowed, strict]) {
    await outcome(port, `/${port}/first`);
    expect(await outcome(port, `/${port}/pooled`)).toEqual(FINE);
  }
  await outcome(h2.port, '/h2/first', askH2);
  expect(await outcome(h2.port, '/h2/pooled', askH2)).toEqual(FINE);
  const long = askH2(daemon, `localhost:${h2.port}`, { path: '/long' });
  await expect.poll(() => h2.seen.some(({ headers }) => headers[':path'] === '/long')).toBe(true);
  expect(Date.now()).toBeLessThan(end.getTime());

  await wait(end.getTime() - Date.now());

  const rejected = { status: 502, reused: false, error: 'SERVER_CERTIFICATE_REJECTED' };
  expect(await outcome(plain.port, '/plain/after')).toEqual({ ...rejected, problems: ['CERT_HAS_EXPIRED 0'] });
  expect(await outcome(h2.port, '/h2/after', askH2)).toEqual({ ...rejected, problems: ['CERT_HAS_EXPIRED 1'] });
  const passed = { status: 200, error: null, problems: ['CERT_HAS_EXPIRED 0'] };
  expect(await outcome(allowed.port, '/allowed/after')).toEqual({ ...passed, reused: false });
  expect(await outcome(allowed.port, '/allowed/again')).toEqual({ ...passed, reused: true });
  expect(await outcome(strict.port, '/strict/after')).toMatchObject({
    status: 502,
    error: 'CLIENT_CERTIFICATE_REFUSED',
  });

  // What was under way is not cut off.
  finish();
  expect(await long).toMatchObject({ status: 200, body: 'begun' });
  for (const { server } of [plain, h2, strict])
    await expect.poll(() => promisify(server.getConnections.bind(server))(), { timeout: 20_000 }).toBe(0);
  expect([plain, allowed, strict].map((origin) => origin.seen.length)).toEqual([2, 4, 2]);
});
