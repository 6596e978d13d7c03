/** A new local CA in place of the old one, while clients come and go: the overlap, the change-over, a crash in between. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { hasTool } from '../support/tools.ts';
import { throughTunnel } from '../support/tunnel.ts';

interface LocalCa {
  readonly fingerprint256: string;
  readonly rotation: { readonly fingerprint256: string; readonly takes_over: string } | null;
}

const files = temporaryDirectory();
const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? []).map((block) => new X509Certificate(block));
const fingerprintsIn = (pem: string): string[] => certificatesIn(pem).map(({ fingerprint256 }) => fingerprint256);

describe('a rotation', { timeout: 120_000 }, () => {
  const home = temporaryDirectory();
  const publicDir = join(temporaryDirectory(), 'public');
  const user = join(files, 'user');
  let scene: Scene;
  let daemon: RunningDaemon;
  let old: X509Certificate;
  let next: X509Certificate;
  const oldFile = join(files, 'old.pem');
  const nextFile = join(files, 'next.pem');
  const settings = `public_dir: ${publicDir}\n`;

  beforeAll(async () => {
    scene = await createScene({ home, settings });
    daemon = scene.daemon;
    old = new X509Certificate(readFileSync(daemon.caFile));
    writeFileSync(oldFile, old.toString());
    mkdirSync(user);
  });
  afterAll(async () => {
    await daemon.stop();
    await scene.origin.close();
  });

  const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', home], { HOME: user });
  const trusting = (caFile: string): string[] => ['--proxy', daemon.proxy, '--cacert', caFile];
  /** curl's exit codes: 0, or 60 where it does not trust the leaf. */
  const exits = async (url: string): Promise<(number | null)[]> =>
    Promise.all([oldFile, nextFile, daemon.caFile].map(async (file) => (await curl(url, trusting(file))).exit));
  const status = async (): Promise<LocalCa> =>
    ((await (await daemon.api('/api/v1/status')).json()) as { ca: LocalCa }).ca;

  test('makes a CA that is trusted beside the present one, everywhere', async () => {
    const { code, stdout, stderr } = await mtlsd('ca', 'rotate', '--overlap', '12h');
    expect([code, stderr]).toEqual([0, '']);
    const { rotation, fingerprint256 } = await status();
    expect(fingerprint256).toBe(old.fingerprint256);
    expect(stdout).toContain(`SHA-256 ${rotation?.fingerprint256}`);
    const hours = (Date.parse(rotation?.takes_over ?? '') - Date.now()) / 3_600_000;
    expect([hours > 11.9, hours <= 12]).toEqual([true, true]);
    const pem = readFileSync(daemon.caFile, 'utf8');
    const both = [old.fingerprint256, rotation?.fingerprint256];
    expect(fingerprintsIn(pem)).toEqual(both);
    next = certificatesIn(pem)[1] as X509Certificate;
    writeFileSync(nextFile, next.toString());
    expect(await daemon.event('ca.changed')).toMatchObject({ why: 'rotating', anchors: both });
    for (const file of [join(home, 'ca/bundle.pem'), join(publicDir, 'bundle.pem'), join(publicDir, 'ca.pem')])
      expect(fingerprintsIn(readFileSync(file, 'utf8')).slice(-2)).toEqual(both);
    expect(await (await fetch(`${daemon.admin}/ca.pem`)).text()).toBe(pem);
    for (const command of [['status'], ['ca', 'show']])
      expect((await mtlsd(...command)).stdout).toMatch(new RegExp(`takes over at [^]*${next.fingerprint256}`));
    expect(JSON.parse((await mtlsd('ca', 'show', '--json')).stdout)).toMatchObject({
      rotation: { takes_over: rotation?.takes_over },
    });
    const der = join(files, 'next.der');
    await mtlsd('ca', 'export', '--next', '--format', 'der', '--out', der);
    expect(readFileSync(der).equals(next.raw)).toBe(true);
    const page = (await curl('http://mtlsd.test/', ['--proxy', daemon.proxy, '-H', 'Accept: text/html'])).body;
    for (const { fingerprint256 } of [old, next]) expect(page).toContain(fingerprint256);
    expect((await curl('http://mtlsd.test/mtlsd-ca-new.pem', ['--proxy', daemon.proxy])).body).toBe(next.toString());
  });

  test('signs leaves by the present one still, and only the name that tests trust by the new one', async () => {
    expect(await exits(scene.origin.url)).toEqual([0, 60, 0]);
    expect(await exits('https://mtlsd.test/')).toEqual([60, 0, 0]);
    const node = "fetch('https://mtlsd.test/').then((r) => console.log(r.status))";
    expect((await runMtlsd(['run', '--home', home, '--', process.execPath, '-e', node])).stdout).toBe('200\n');
    const doctor = async (env: NodeJS.ProcessEnv): Promise<string | undefined> =>
      /^.*client curl: (.*)$/m.exec((await runMtlsd(['doctor', '--home', home], { HOME: user, ...env })).stdout)?.[1];
    const shell = { HTTPS_PROXY: daemon.proxy, http_proxy: daemon.proxy };
    expect(await doctor({ ...shell, CURL_CA_BUNDLE: oldFile })).toBe(
      'uses the proxy and does not trust the new local CA when started from here',
    );
    expect(await doctor({ ...shell, CURL_CA_BUNDLE: daemon.caFile })).toBe(
      'uses the proxy and trusts the new local CA when started from here',
    );
  });

  test.runIf(hasTool('keytool'))("gets both into Java's trust store", async () => {
    await mtlsd('env');
    const args = ['-list', '-keystore', join(home, 'clients/java-truststore.p12'), '-storepass', 'changeit'];
    const listed = execFileSync('keytool', args, { encoding: 'utf8' });
    for (const { fingerprint256 } of [old, next]) expect(listed).toContain(fingerprint256);
  });

  test('is begun once', async () => {
    const again = await mtlsd('ca', 'rotate');
    expect([again.code, again.stderr]).toEqual([
      1,
      'mtlsd: a rotation of the local CA is under way\nnext: finish it: mtlsd ca rotate --finish; or cancel it: mtlsd ca rotate --cancel\n',
    ]);
    const answer = await daemon.api('/api/v1/ca/rotation', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      {
        code: 'ROTATING',
        hint: 'finish it: POST /api/v1/ca/rotation/finish; or cancel it: DELETE /api/v1/ca/rotation',
      },
    ]);
  });

  test('survives SIGKILL', async () => {
    daemon.process.kill('SIGKILL');
    await once(daemon.process, 'exit');
    daemon = await startDaemon({ home, settings });
    expect((await status()).rotation?.fingerprint256).toBe(next.fingerprint256);
    expect(await exits(scene.origin.url)).toEqual([0, 60, 0]);
    expect(await exits('https://mtlsd.test/')).toEqual([60, 0, 0]);
  });

  test('finishes on demand: from the next connection on, the new CA signs', async () => {
    const tunnel = await throughTunnel(daemon, `localhost:${scene.origin.port}`);
    const { code, stdout } = await mtlsd('ca', 'rotate', '--finish');
    expect([code, stdout]).toEqual([0, expect.stringContaining('signs from now on\nnext: mtlsd ca install ')]);
    expect(await daemon.event('ca.changed', ({ why }) => why === 'taken over')).toMatchObject({
      fingerprint256: next.fingerprint256,
      anchors: [next.fingerprint256],
    });
    // What is connected stays connected.
    tunnel.write(`GET / HTTP/1.1\r\nHost: localhost:${scene.origin.port}\r\nConnection: close\r\n\r\n`);
    const [answer] = (await once(tunnel, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exits(scene.origin.url)).toEqual([60, 0, 0]);
    expect(await exits('https://mtlsd.test/')).toEqual([60, 0, 0]);
    expect(readFileSync(daemon.caFile, 'utf8')).toBe(next.toString());
    expect([existsSync(join(home, 'ca/next.pem')), (await status()).rotation]).toEqual([false, null]);
    const none = await mtlsd('ca', 'rotate', '--finish');
    expect(none.stderr).toBe('mtlsd: no rotation of the local CA is under way\nnext: mtlsd ca rotate begins one\n');
  });

  test.runIf(hasTool('certutil'))('ca install follows it: both meanwhile, and the earlier one goes', async () => {
    const database = `sql:${join(user, '.pki/nssdb')}`;
    mkdirSync(join(user, '.pki/nssdb'), { recursive: true });
    execFileSync('certutil', ['-N', '-d', database, '--empty-password']);
    const listed = (): string[] =>
      execFileSync('certutil', ['-L', '-d', database], { encoding: 'utf8' }).match(/mtlsd-[0-9a-f]{12}/g) ?? [];
    const nameOf = (fingerprint: string): string =>
      `mtlsd-${fingerprint.replaceAll(':', '').slice(0, 12).toLowerCase()}`;
    const install = () => mtlsd('ca', 'install', '--nss', '--yes');
    expect((await install()).code).toBe(0);
    expect(listed()).toEqual([nameOf(next.fingerprint256)]);
    await mtlsd('ca', 'rotate');
    const third = (await status()).rotation?.fingerprint256 ?? '';
    expect((await mtlsd('doctor')).stdout).toMatch(
      /warning +browser .* does not have the new local CA\n +next: mtlsd ca install --nss/,
    );
    expect((await install()).stdout).toMatch(/\(the present CA\): installed already[^]*\(the new CA\): installed\n$/);
    expect(listed().sort()).toEqual([nameOf(next.fingerprint256), nameOf(third)].sort());
    await mtlsd('ca', 'rotate', '--finish');
    expect((await install()).stdout).toMatch(/: installed already[^]*\(an earlier CA\): removed\n$/);
    expect(listed()).toEqual([nameOf(third)]);
  });

  test('is cancelled', async () => {
    const before = readFileSync(daemon.caFile, 'utf8');
    await mtlsd('ca', 'rotate');
    expect((await mtlsd('ca', 'rotate', '--cancel')).stdout).toBe('the new CA is dropped; the present one signs on\n');
    expect(readFileSync(daemon.caFile, 'utf8')).toBe(before);
    expect((await curl(scene.origin.url, through(daemon))).status).toBe(200);
  });

  test('takes place by itself when the overlap is over, and no request fails that trusts both', async () => {
    await mtlsd('ca', 'rotate', '--overlap', '4s');
    const both = join(files, 'both.pem');
    writeFileSync(both, readFileSync(daemon.caFile));
    const [present, coming] = fingerprintsIn(readFileSync(both, 'utf8'));
    let over = false;
    void daemon
      .event('ca.changed', ({ why, fingerprint256 }) => why === 'taken over' && fingerprint256 === coming)
      .then(() => {
        over = true;
      });
    const issuers: string[] = [];
    let after = 0;
    while (after < 3) {
      if (over) after++;
      const tls = await throughTunnel({ ...daemon, caFile: both }, `localhost:${scene.origin.port}`);
      const leaf = new X509Certificate(tls.getPeerCertificate().raw);
      tls.destroy();
      const issuer = certificatesIn(readFileSync(both, 'utf8')).find((ca) => leaf.verify(ca.publicKey));
      issuers.push(issuer?.fingerprint256 ?? 'nobody');
    }
    expect(issuers.lastIndexOf(present ?? '')).toBeLessThan(issuers.indexOf(coming ?? ''));
    expect(new Set(issuers)).toEqual(new Set([present, coming]));
  });

  test('that became due while no daemon ran takes place at the start', async () => {
    await mtlsd('ca', 'rotate', '--overlap', '1s');
    const [, coming] = fingerprintsIn(readFileSync(daemon.caFile, 'utf8'));
    await daemon.stop();
    const text = existsSync(join(home, 'ca/next.pem')) ? readFileSync(join(home, 'ca/next.pem'), 'utf8') : null;
    if (text !== null)
      writeFileSync(
        join(home, 'ca/next.pem'),
        text.replace(/takes over: .*/, `takes over: ${new Date(0).toISOString()}`),
      );
    daemon = await startDaemon({ home, settings });
    expect((await daemon.event('daemon.ready')).ca_fingerprint256).toBe(coming);
    expect((await curl(scene.origin.url, through(daemon))).status).toBe(200);
  });
});

test('a CA of your own is not rotated; without a daemon there is none to tell', async () => {
  const home = temporaryDirectory();
  const { createPki } = await import('../support/pki.ts');
  (await (await createPki()).root()).write(home, 'own');
  const missing = await runMtlsd(['ca', 'rotate', '--home', home]);
  expect(missing.stderr).toMatch(/^mtlsd: no daemon runs for /);
  const daemon = await startDaemon({ home, settings: 'ca: { cert: own.crt, key: own.key }\n' });
  const { code, stderr } = await runMtlsd(['ca', 'rotate', '--home', home]);
  expect([code, stderr]).toEqual([
    1,
    'mtlsd: ca.cert in mtlsd.yaml names a CA of your own, which mtlsd does not replace\nnext: get a new certificate and replace the files of ca.cert and ca.key; they are watched\n',
  ]);
  await daemon.stop();
});
