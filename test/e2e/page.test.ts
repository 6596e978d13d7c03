import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { launch, openPage, signIn } from '../support/page.ts';
import { type Authority, createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

/** The page as a person uses it, against a daemon and origins that are real. */
describe.runIf(hasTool('chromium'))('the page', () => {
  const files = temporaryDirectory();
  let browser: Browser;
  let root: Authority;
  let demanding: Origin;
  let unknown: Origin;
  let unknownRoot: Authority;

  beforeAll(async () => {
    const pki = await createPki();
    root = await pki.root({ cn: 'page root' });
    unknownRoot = await pki.root({ cn: 'unknown root' });
    root.write(files, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    pfx('alice', 'secret');
    const server = await root.issue({ cn: 'localhost' });
    demanding = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const other = await unknownRoot.issue({ cn: 'localhost' });
    unknown = await nodeOrigin({ key: other.keyPem, cert: other.chainPem + unknownRoot.certPem });
    browser = await launch();
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([demanding.close(), unknown.close()]);
  });

  const store = (): string => `version: 1\ntrust: { system: false, ca: [${files}/root.crt] }\n`;

  function pfx(name: string, password: string): void {
    const own = ['-in', `${files}/${name}.crt`, '-inkey', `${files}/${name}.key`];
    execFileSync('openssl', [
      'pkcs12',
      '-export',
      ...own,
      '-out',
      `${files}/${name}.p12`,
      '-passout',
      `pass:${password}`,
    ]);
  }

  async function withPage(
    use: (page: Page, daemon: RunningDaemon) => Promise<void>,
    options: Parameters<typeof openPage>[2] = {},
  ): Promise<void> {
    const daemon = await startDaemon({ store: store() });
    const { page, complaints } = await openPage(browser, daemon, options);
    try {
      await use(page, daemon);
      expect(complaints).toEqual([]);
    } finally {
      await page.context().close();
      await daemon.stop();
    }
  }

  const ask = (daemon: RunningDaemon, origin: Origin, path: string) => curl(`${origin.url}${path}`, through(daemon));
  const row = (page: Page, path: string) => page.getByRole('row', { name: new RegExp(`localhost.*${path}\\b`) });

  test('from an empty store to the first certificate seen in the console, by keyboard alone', async () => {
    await withPage(async (page, daemon) => {
      const { keyboard } = page;
      const focused = () =>
        page.evaluate<string>('document.activeElement.textContent || document.activeElement.ariaLabel');
      await page.getByText('Waiting for the first request').waitFor();
      await keyboard.press('2');
      await page.getByRole('heading', { name: 'No certificate yet' }).waitFor();
      await tabTo(page, 'Add a certificate');
      expect(await focused()).toContain('Add a certificate');
      await keyboard.press('Enter');
      // The dialog begins at the host; a person sees where they type.
      await page.locator('dialog input:focus').waitFor();
      await keyboard.type(`localhost:${demanding.port}`);
      // Enabled before: Chromium intercepts choosers only after this command, and a key is faster.
      const chooser = page.waitForEvent('filechooser');
      await tabTo(page, 'Drop PEM or PFX files here');
      await keyboard.press('Enter');
      await (await chooser).setFiles([`${files}/alice.crt`, `${files}/alice.key`]);
      // What is in the files is shown before anything is saved.
      await page.getByText('alice, issued by CN=page root').waitFor();
      expect((await listed(daemon)).length).toBe(0);
      await tabTo(page, 'Add', true);
      await keyboard.press('Enter');
      await page.getByText('is added').waitFor();
      await page.getByRole('link', { name: `localhost:${demanding.port}` }).waitFor();
      expect((await ask(daemon, demanding, '/first')).json<Seen>().client).toBe('alice');

      await keyboard.press('1');
      await row(page, '/first').waitFor();
      await tabTo(page, 'Exchanges, oldest first');
      await keyboard.press('End');
      await keyboard.press('Enter');
      const drawer = page.getByRole('complementary', { name: 'Exchange' });
      await drawer.getByText('The certificate localhost', { exact: false }).waitFor();
      await drawer.getByText('The server is verified').waitFor();
      await drawer.getByText('CN=alice').first().waitFor();
      await keyboard.press('Escape');
      await drawer.waitFor({ state: 'detached' });
      await keyboard.press('?');
      await page.getByRole('dialog', { name: 'Help' }).getByText('failures only').waitFor();
      await keyboard.press('Escape');
      // The element itself: its role is gone a moment before the page knows that it is closed.
      await page.locator('dialog').waitFor({ state: 'detached' });
      await keyboard.press('x');
      await page.getByText('Nothing fits the filter').waitFor();
      expect(new URL(page.url()).search).toBe('?failed=1');
    });
  });

  test('a PFX with a wrong passphrase, then the right one; removed, and back again', async () => {
    await withPage(
      async (page, daemon) => {
        await page.getByRole('button', { name: 'Add a certificate' }).click();
        const dialog = page.getByRole('dialog', { name: 'Add a certificate' });
        await dialog.getByLabel('Host').fill('pfx.example');
        await choose(page, 'Drop PEM or PFX', `${files}/alice.p12`);
        await dialog.getByText('The file is locked').waitFor();
        await dialog.getByLabel('Passphrase').fill('wrong');
        await dialog.getByRole('button', { name: 'Unlock' }).click();
        await dialog.getByText('This passphrase does not open the file').waitFor();
        expect(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()).toBe(true);
        await dialog.getByLabel('Passphrase').fill('secret');
        await dialog.getByRole('button', { name: 'Unlock' }).click();
        await dialog.getByText('alice, issued by CN=page root').waitFor();
        await dialog.getByRole('button', { name: 'Add', exact: true }).click();
        await page.getByText('is added').waitFor();
        expect(await listed(daemon)).toMatchObject([{ host: 'pfx.example', usable: true }]);

        await page.getByRole('link', { name: 'pfx.example' }).click();
        await page.getByRole('button', { name: 'Remove', exact: true }).click();
        await page.getByText('is removed').waitFor();
        expect(await listed(daemon)).toEqual([]);
        await page.getByRole('button', { name: 'Undo' }).click();
        await page.getByText('is back').waitFor();
        // Its uploaded files are back as well.
        expect(await listed(daemon)).toMatchObject([{ host: 'pfx.example', usable: true }]);
      },
      { path: '/?screen=certificates' },
    );
  });

  test('a failed handshake is fixed by its button: a missing certificate', async () => {
    await withPage(async (page, daemon) => {
      expect((await ask(daemon, demanding, '/missing')).body).toContain('CLIENT_CERTIFICATE_REQUIRED');
      await row(page, '/missing').click();
      await page.getByText('requires a client certificate, and no entry matches this host').waitFor();
      await page.getByRole('button', { name: 'Add a certificate for localhost' }).click();
      const dialog = page.getByRole('dialog', { name: 'Add a certificate' });
      expect(await dialog.getByLabel('Host').inputValue()).toBe(`localhost:${demanding.port}`);
      await choose(page, 'Drop PEM or PFX', `${files}/alice.crt`, `${files}/alice.key`);
      await dialog.getByRole('button', { name: 'Add', exact: true }).click();
      await page.getByText('is added').waitFor();
      await page.getByText('The store has changed since this request').waitFor();
      await page.getByRole('button', { name: 'Try again (probe)' }).click();
      await page.getByText('A request would get through with the certificate').waitFor();
      expect((await ask(daemon, demanding, '/there')).json<Seen>().client).toBe('alice');
    });
  });

  test('a failed handshake is fixed by its button: an unknown CA, its fingerprint shown first', async () => {
    await withPage(async (page, daemon) => {
      expect((await ask(daemon, unknown, '/unknown')).body).toContain('SERVER_CERTIFICATE_REJECTED');
      await row(page, '/unknown').click();
      await page.getByRole('button', { name: 'Trust this CA' }).click();
      const dialog = page.getByRole('dialog', { name: 'Trust this CA' });
      await dialog.getByText(unknownRoot.x509.fingerprint256).first().waitFor();
      await dialog.getByRole('button', { name: 'The fingerprint is right: trust it' }).click();
      await page.getByText(`unknown root is trusted for localhost:${unknown.port}`).waitFor();
      expect((await ask(daemon, unknown, '/known')).status).toBe(200);
      // For that host alone, and what was trusted before still is.
      expect(await (await daemon.api('/api/v1/trust')).json()).toMatchObject({ ca: [`${files}/root.crt`] });
      await page.getByRole('link', { name: 'Trust', exact: true }).click();
      await page.getByText(`Can vouch for localhost:${unknown.port}`).waitFor();
    });
  });

  test('a failed handshake is let through for one host: report instead of enforce', async () => {
    await withPage(async (page, daemon) => {
      await ask(daemon, unknown, '/refused');
      await row(page, '/refused').click();
      await page.getByRole('button', { name: 'Report instead of enforce' }).click();
      await page.getByRole('button', { name: 'Report for localhost' }).click();
      await page.getByText('is reported on').waitFor();
      expect((await ask(daemon, unknown, '/through')).status).toBe(200);
      await row(page, '/through').click();
      await page.getByText('The server failed verification: ').waitFor();
      expect(await page.getByText('Verification is off').count()).toBe(0);
    });
  });

  test('a banner stays while verification is off for every server', async () => {
    await withPage(
      async (page, daemon) => {
        await page.getByRole('radio', { name: 'report' }).click();
        await page.getByRole('button', { name: 'Report for every server' }).click();
        const banner = page.getByRole('alert').filter({ hasText: 'Verification is off for every server' });
        await banner.waitFor();
        await page.keyboard.press('1');
        await banner.waitFor();
        await daemon.api('/api/v1/verification', {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: '{"mode":"enforce"}',
        });
        await banner.waitFor({ state: 'detached' });
        expect(await banner.count()).toBe(0);
      },
      { path: '/?screen=trust' },
    );
  });

  test('a request of curl appears within a second', async () => {
    await withPage(async (page, daemon) => {
      const asked = performance.now();
      const seen = row(page, '/soon').waitFor({ timeout: 10_000 });
      await ask(daemon, demanding, '/soon');
      await seen;
      expect(performance.now() - asked).toBeLessThan(1_000);
    });
  });

  test('a mistake in certificates.yaml is shown with its place, and goes when it is corrected', async () => {
    await withPage(async (page, daemon) => {
      const path = join(daemon.home, 'certificates.yaml');
      writeFileSync(path, `${store()}certificates: [{ host: 1 }]\n`);
      await page.getByRole('alert').filter({ hasText: 'line 3' }).waitFor();
      writeFileSync(path, store());
      await page.getByRole('alert').filter({ hasText: 'line 3' }).waitFor({ state: 'detached' });
      expect(await page.getByRole('alert').filter({ hasText: 'line 3' }).count()).toBe(0);
    });
  });

  test('the daemon restarts: the page says so, and goes on after signing in again', async () => {
    const home = temporaryDirectory();
    let daemon = await startDaemon({ home, store: store() });
    const { page } = await openPage(browser, daemon);
    try {
      await ask(daemon, demanding, '/before');
      await row(page, '/before').waitFor();
      const at = new URL(daemon.admin);
      await daemon.stop();
      await page.getByText('The daemon does not answer').waitFor();
      daemon = await startDaemon({ home, args: ['--admin', at.host] });
      // A session ends with its daemon.
      await page.getByRole('heading', { name: 'Sign in to mtlsd' }).waitFor();
      await signIn(page, daemon);
      await page.getByText('The daemon does not answer').waitFor({ state: 'detached' });
      await row(page, '/before').waitFor();
      await ask(daemon, demanding, '/after');
      await row(page, '/after').waitFor();
      expect(await page.getByText('The daemon does not answer').count()).toBe(0);
    } finally {
      await page.context().close();
      await daemon.stop();
    }
  });

  test('the filters stand in the address, and the list can be paused', async () => {
    await withPage(async (page, daemon) => {
      await ask(daemon, demanding, '/one');
      await ask(daemon, unknown, '/two');
      await row(page, '/two').waitFor();
      await page.getByLabel('Filter exchanges').fill('/one');
      await row(page, '/two').waitFor({ state: 'detached' });
      expect(new URL(page.url()).searchParams.get('q')).toBe('/one');
      await page.reload();
      await row(page, '/one').waitFor();
      expect(await row(page, '/two').count()).toBe(0);
      await page.getByLabel('Filter exchanges').fill('');
      await page.getByRole('button', { name: 'Pause' }).click();
      await ask(daemon, demanding, '/three');
      await page.getByRole('button', { name: 'Resume (1)' }).waitFor();
      expect(await row(page, '/three').count()).toBe(0);
      await page.getByRole('button', { name: 'Resume' }).click();
      await row(page, '/three').waitFor();
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'HAR' }).click();
      expect((await download).suggestedFilename()).toBe('mtlsd.har');
      await page.getByRole('button', { name: 'Clear' }).click();
      await page.getByText('Waiting for the next request').waitFor();
    });
  });

  async function listed(daemon: RunningDaemon): Promise<object[]> {
    const answer = (await (await daemon.api('/api/v1/certificates')).json()) as { certificates: object[] };
    return answer.certificates;
  }
});

/** Tab, as often as it takes a person; the focus has to get there. */
async function tabTo(page: Page, text: string, exact = false): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate<string>(
      '(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()',
    );
    if (exact ? at === text : at.includes(text)) return;
  }
  throw new Error(`the keyboard does not reach ${text}`);
}

async function choose(page: Page, button: string, ...files: string[]): Promise<void> {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('dialog').getByRole('button', { name: button }).click();
  await (await chooser).setFiles(files);
}
