import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EntryAnswer, InspectAnswer } from '../../src/admin/schemas/certificate.ts';
import { createScene, type Scene, writePfx } from '../support/scene.ts';
import { type AdminClient, adminClient, type Refusal } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import type { Authority, Issued } from '../support/pki.ts';

const PATH = '/api/v1/certificates';
const CANARY = 'canary-passphrase-7';

describe('certificates over the API', () => {
  const files = temporaryDirectory();
  let root: Authority;
  let alice: Issued;
  let bob: Issued;
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;
  let admin: AdminClient;

  beforeAll(async () => {
    scene = await createScene({
      files,
      demands: false,
      store: () =>
        `# kept by hand\nversion: 1\ncertificates: []\n# whom to trust\ntrust: { system: false, ca: [${files}/root.crt] }\n`,
    });
    ({ origin, daemon, root } = scene);
    alice = scene.clients.alice as Issued;
    bob = await root.issue({ cn: 'bob', eku: ['clientAuth'], freshKey: true });
    bob.write(files, 'bob');
    writePfx(files, 'alice', CANARY);
    writePfx(files, 'alice', '', 'plain');
    admin = await adminClient(daemon);
  });
  afterAll(() => scene.close());

  const uploaded = (): string[] => {
    const folder = join(daemon.home, 'files');
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  };
  const store = (): string => readFileSync(join(daemon.home, 'certificates.yaml'), 'utf8');
  const client = async (): Promise<string | null> => (await curl(origin.url, through(daemon))).json<Seen>().client;

  test('one that is added by upload is used, shown without its secrets, and goes with its files', async () => {
    const added = await admin.call<EntryAnswer>('POST', PATH, {
      body: { host: 'localhost', port: origin.port, cert_pem: alice.certPem, key_pem: alice.keyPem },
    });
    expect(added.status).toBe(201);
    const { name } = added.body;
    expect(added.headers.get('location')).toBe(`${PATH}/${name}`);
    expect(added.body).toMatchObject({
      name: `localhost-${origin.port}`,
      usable: true,
      days_left: 29,
      last_used: null,
      facts: [{ subject: 'CN=alice' }],
      cert: expect.stringMatching(/^files\/[0-9a-f]{32}\.pem$/),
      key: expect.stringMatching(/^files\/[0-9a-f]{32}\.key$/),
    });
    expect(uploaded().map((file) => statSync(join(daemon.home, 'files', file)).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(statSync(join(daemon.home, 'files')).mode & 0o777).toBe(0o700);

    expect(await client()).toBe('alice');
    const shown = await admin.call<EntryAnswer>('GET', `${PATH}/${name}`);
    expect(Date.parse(shown.body.last_used ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect(JSON.stringify(shown.body)).not.toContain('PRIVATE');

    expect(
      (await admin.call('DELETE', `${PATH}/${name}`, { headers: { 'if-match': shown.headers.get('etag') ?? '' } }))
        .status,
    ).toBe(204);
    expect(uploaded()).toEqual([]);
    expect(await client()).toBeNull();
    expect(store()).toContain('# kept by hand');
    expect(store()).toContain('# whom to trust');
    const logged = daemon.log.filter(({ event }) => event === 'admin');
    expect(logged.map(({ action, who }) => [action, who])).toEqual([
      ['certificate.added', 'api'],
      ['certificate.removed', 'api'],
    ]);
    expect(logged[0]).toMatchObject({ name, client: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
  });

  test('a PFX with its passphrase: kept in a file of its own, never in an answer', async () => {
    const pfx_base64 = readFileSync(`${files}/alice.p12`).toString('base64');
    const wrong = await admin.call<Refusal>('POST', PATH, {
      body: { host: 'pfx.example', pfx_base64, passphrase: 'no' },
    });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'PASSPHRASE_WRONG']);
    expect(uploaded()).toEqual([]);
    const added = await admin.call<EntryAnswer>('POST', PATH, {
      body: { name: 'pfx', host: 'pfx.example', pfx_base64, passphrase: CANARY },
    });
    expect(added.body).toMatchObject({
      usable: true,
      passphrase: { file: expect.stringMatching(/^files\/[0-9a-f]{32}\.pass$/) },
    });
    expect(store()).not.toContain(CANARY);
    expect(JSON.stringify(added.body) + JSON.stringify(daemon.log)).not.toContain(CANARY);
  });

  test('is edited in place: what is given is set, null takes out, the rest stays', async () => {
    const before = await admin.call<EntryAnswer>('GET', `${PATH}/pfx`);
    const etag = before.headers.get('etag') ?? '';
    const renamed = await admin.call<EntryAnswer>('PATCH', `${PATH}/pfx`, {
      body: { name: 'partner', port: '*', profile: 'p' },
      headers: { 'if-match': etag },
    });
    expect(renamed.body).toMatchObject({
      name: 'partner',
      host: 'pfx.example',
      port: '*',
      profile: 'p',
      pfx: before.body.pfx,
    });
    expect(renamed.headers.get('etag')).not.toBe(etag);
    expect((await admin.call('GET', `${PATH}/pfx`)).status).toBe(404);
    const plain = await admin.call<EntryAnswer>('PATCH', `${PATH}/partner`, {
      body: { port: null, profile: null, enabled: false },
    });
    expect(plain.body).toMatchObject({ port: 443, profile: null, enabled: false });
    // A PEM takes the place of the PFX, whose file goes.
    const pem = await admin.call<EntryAnswer>('PATCH', `${PATH}/partner`, {
      body: { cert_pem: bob.certPem + bob.keyPem, passphrase: null, enabled: true },
    });
    expect(pem.body).toMatchObject({
      pfx: null,
      key: null,
      passphrase: null,
      usable: true,
      facts: [{ subject: 'CN=bob' }],
    });
    expect(uploaded()).toHaveLength(1);
  });

  test('is replaced whole, by path', async () => {
    const replaced = await admin.call<EntryAnswer>('PUT', `${PATH}/partner`, {
      body: { host: 'other.example', cert: `${files}/alice.crt`, key: `${files}/alice.key`, withhold_unverified: true },
    });
    expect(replaced.body).toMatchObject({
      name: 'partner',
      host: 'other.example',
      withhold_unverified: true,
      cross_site: 'withhold',
      cert: `${files}/alice.crt`,
    });
    expect(uploaded()).toEqual([]);
    const origins = await admin.call<EntryAnswer>('PATCH', `${PATH}/partner`, {
      body: { cross_site: ['http://localhost:3000'] },
    });
    expect(origins.body).toMatchObject({ cross_site: ['http://localhost:3000'] });
    const wrong = await admin.call('PATCH', `${PATH}/partner`, { body: { cross_site: ['https://a.example:443'] } });
    expect(wrong).toMatchObject({
      status: 422,
      body: { detail: expect.stringContaining('expected https://a.example') as string },
    });
    expect(
      (await admin.call('PUT', `${PATH}/nobody`, { body: { host: 'a.example', cert: `${files}/alice.crt` } })).status,
    ).toBe(404);
  });

  test('shadowed by a later one, and a free name where none is given', async () => {
    const body = { host: 'twice.example', cert: `${files}/alice.crt`, key: `${files}/alice.key` };
    const names = [];
    for (let i = 0; i < 2; i++) names.push((await admin.call<EntryAnswer>('POST', PATH, { body })).body.name);
    expect(names).toEqual(['twice.example', 'twice.example-2']);
    const { body: list } = await admin.call<{ certificates: EntryAnswer[]; total: number }>(
      'GET',
      `${PATH}?host=twice.example`,
    );
    expect(list.certificates.map(({ shadowed_by }) => shadowed_by)).toEqual(['twice.example-2', null]);
    expect(list.total).toBe(2);
    const page = await admin.call<{ certificates: EntryAnswer[]; next: string | null }>('GET', `${PATH}?limit=1`);
    expect(page.body.certificates.map(({ name }) => name)).toEqual(['partner']);
    const rest = await admin.call<{ certificates: EntryAnswer[]; next: string | null }>(
      'GET',
      `${PATH}?after=${page.body.next}`,
    );
    expect(rest.body.certificates.map(({ name }) => name)).toEqual(names);
    expect(rest.body.next).toBeNull();
  });

  test('inspection tells what is in files without keeping them', async () => {
    const before = store();
    const good = await admin.call<InspectAnswer>('POST', `${PATH}/inspect`, {
      body: { cert_pem: alice.certPem, key_pem: alice.keyPem },
    });
    expect(good.body).toMatchObject({ usable: true, problems: [], days_left: 29, facts: [{ subject: 'CN=alice' }] });
    const mismatch = await admin.call<InspectAnswer>('POST', `${PATH}/inspect`, {
      body: { cert_pem: alice.certPem, key_pem: bob.keyPem },
    });
    expect(mismatch.body).toMatchObject({ usable: false, problems: [{ code: 'KEY_MISMATCH' }] });
    const byPath = await admin.call<InspectAnswer>('POST', `${PATH}/inspect`, {
      body: { pfx: `${files}/alice.p12`, passphrase: CANARY },
    });
    expect(byPath.body.usable).toBe(true);
    expect([store(), uploaded()]).toEqual([before, []]);
  });

  describe('refused, with nothing changed', () => {
    let before: [string, string[]];
    const expectUnchanged = () => expect([store(), uploaded()]).toEqual(before);

    test('what is wrong', async () => {
      before = [store(), uploaded()];
      const pem = { cert_pem: alice.certPem, key_pem: alice.keyPem };
      const cases: [number, string, string, string, unknown][] = [
        [409, 'NAME_TAKEN', 'POST', PATH, { name: 'partner', host: 'a.example', ...pem }],
        [422, 'KEY_MISMATCH', 'POST', PATH, { host: 'a.example', cert_pem: alice.certPem, key_pem: bob.keyPem }],
        [422, 'FILE_MISSING', 'POST', PATH, { host: 'a.example', cert: 'nowhere.pem' }],
        [422, 'FILE_MISSING', 'PATCH', `${PATH}/partner`, { cert: '/nowhere.pem' }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'a.example', ...pem, unknown: true }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'https://a.example/', ...pem }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'a.example', port: '443', ...pem }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'a.example' }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'a.example', ...pem, pfx: 'a.p12' }],
        [400, 'BAD_REQUEST', 'POST', PATH, { host: 'a.example', pfx: 'a.p12', key: 'a.key' }],
        [400, 'BAD_REQUEST', 'POST', PATH, [1]],
        [400, 'BAD_REQUEST', 'POST', PATH, '{"host": '],
        [400, 'BAD_REQUEST', 'PATCH', `${PATH}/partner`, {}],
        [400, 'BAD_REQUEST', 'PATCH', `${PATH}/partner`, { host: null }],
        [400, 'BAD_REQUEST', 'GET', `${PATH}?limit=no`, undefined],
        [404, 'NOT_FOUND', 'PATCH', `${PATH}/nobody`, { enabled: true }],
        [404, 'NOT_FOUND', 'DELETE', `${PATH}/nobody`, undefined],
        [413, 'BODY_TOO_LARGE', 'POST', PATH, { host: 'a.example', cert_pem: 'x'.repeat(1024 * 1024) }],
      ];
      for (const [status, code, method, path, body] of cases) {
        const refused = await admin.call<Refusal>(method, path, { body });
        expect([refused.status, refused.body.code], `${method} ${path} ${JSON.stringify(body)?.slice(0, 200)}`).toEqual(
          [status, code],
        );
        expect(refused.body.hint).not.toBe('');
        expectUnchanged();
      }
    });

    test('a secret in the wrong form, without quoting it', async () => {
      for (const body of [
        { host: 'a.example', cert_pem: 5, key_pem: alice.keyPem.repeat(500) },
        { host: 'a.example', pfx: 'a.p12', passphrase: [CANARY] },
        { host: 'a.example', pfx: 'a.p12', passphrase: { text: CANARY } },
        `{"passphrase": "${CANARY}", }`,
        `{"passphrase": ${CANARY}}`,
      ]) {
        const refused = await admin.call<Refusal>('POST', PATH, { body });
        expect([refused.status, refused.body.code]).toEqual([400, 'BAD_REQUEST']);
        expect(JSON.stringify(refused.body)).not.toMatch(/canary|PRIVATE|MIG/);
      }
      expectUnchanged();
    });

    test('names that are paths', async () => {
      for (const name of ['../../etc/passwd', '..', 'a/b', 'a\u0000b', '/etc/passwd', 'n'.repeat(4096), 'none']) {
        const refused = await admin.call<Refusal>('POST', PATH, {
          body: { name, host: 'a.example', cert_pem: alice.certPem, key_pem: alice.keyPem },
        });
        expect([refused.status, refused.body.code], name.slice(0, 20)).toEqual([400, 'BAD_REQUEST']);
      }
      for (const path of ['..%2f..%2fcertificates.yaml', '%00', '%2e%2e%2fadmin.token', 'n'.repeat(300)])
        expect((await daemon.api(`${PATH}/${path}`)).status, path.slice(0, 20)).toBe(400);
      expectUnchanged();
    });

    test('an upload into a folder that leads elsewhere', async () => {
      const folder = join(daemon.home, 'files');
      const elsewhere = temporaryDirectory();
      rmSync(folder, { recursive: true, force: true });
      symlinkSync(elsewhere, folder);
      const refused = await admin.call<Refusal>('POST', PATH, {
        body: { host: 'a.example', cert_pem: alice.certPem, key_pem: alice.keyPem },
      });
      expect([refused.status, refused.body.code]).toEqual([409, 'FILES_ELSEWHERE']);
      expect(readdirSync(elsewhere)).toEqual([]);
      rmSync(folder);
      mkdirSync(folder, { mode: 0o700 });
      expectUnchanged();
    });

    test('a stale ETag, and one that was never there', async () => {
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        const body =
          method === 'DELETE'
            ? undefined
            : { host: 'a.example', cert: `${files}/alice.crt`, key: `${files}/alice.key` };
        const refused = await admin.call<Refusal>(method, `${PATH}/partner`, {
          body,
          headers: { 'if-match': '"stale"' },
        });
        expect([refused.status, refused.body.code], method).toEqual([412, 'CHANGED_MEANWHILE']);
      }
      expectUnchanged();
    });

    test('a store with a mistake made by hand', async () => {
      const path = join(daemon.home, 'certificates.yaml');
      const good = store();
      writeFileSync(path, `${good}nonsense: true\n`);
      await daemon.event('store.rejected');
      const refused = await admin.call<Refusal>('PATCH', `${PATH}/partner`, { body: { enabled: false } });
      expect([refused.status, refused.body.code]).toEqual([409, 'BROKEN_FILE']);
      expect(store()).toBe(`${good}nonsense: true\n`);
      writeFileSync(path, good);
      expect((await admin.call('POST', '/api/v1/reload')).status).toBe(200);
      expectUnchanged();
    });
  });

  test('of two clients that change what both have read, the second gets 412', async () => {
    const etag = (await admin.call('GET', `${PATH}/partner`)).headers.get('etag') ?? '';
    const write = (profile: string) =>
      admin.call('PATCH', `${PATH}/partner`, { body: { profile }, headers: { 'if-match': etag } });
    const statuses = (await Promise.all(['one', 'two', 'three'].map(write))).map(({ status }) => status);
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 412, 412]);
  });

  test('who changes different things at once, all succeed', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const added = await Promise.all(
      names.map((name) =>
        admin.call('POST', PATH, {
          body: { name, host: `${name}.example`, cert: `${files}/alice.crt`, key: `${files}/alice.key` },
        }),
      ),
    );
    expect(added.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const etags = added.map(({ headers }) => headers.get('etag') ?? '');
    const edited = await Promise.all(
      names.map((name, i) =>
        admin.call('PATCH', `${PATH}/${name}`, { body: { port: '*' }, headers: { 'if-match': etags[i] ?? '' } }),
      ),
    );
    expect(edited.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });

  test('an entry whose files are not there yet, where that is meant', async () => {
    const late = join(files, 'late.pem');
    const body = { name: 'late', host: 'late.example', cert: late };
    expect((await admin.call('POST', PATH, { body })).status).toBe(422);
    const added = await admin.call<EntryAnswer>('POST', `${PATH}?check=false`, { body });
    expect(added.body).toMatchObject({
      usable: false,
      problems: [{ code: 'FILE_MISSING', severity: 'error' }],
      days_left: null,
    });
    writeFileSync(`${late}.tmp`, alice.certPem + alice.keyPem, { mode: 0o600 });
    renameSync(`${late}.tmp`, late);
    chmodSync(late, 0o600);
    await vi.waitFor(
      async () => expect((await admin.call<EntryAnswer>('GET', `${PATH}/late`)).body.usable).toBe(true),
      { timeout: 10_000 },
    );
  });

  test('nothing secret was logged or answered', () => {
    expect(JSON.stringify(daemon.log)).not.toMatch(/PRIVATE KEY|canary|Bearer/);
    expect(JSON.stringify(daemon.log)).not.toContain(daemon.token);
  });
});
