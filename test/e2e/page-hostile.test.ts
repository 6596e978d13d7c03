import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createCode, launch, openPage } from '../support/page.ts';
import { createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

const MARKUP = '<img src=x onerror=document.title=1>';

describe.runIf(hasTool('chromium'))('the page and those who mean it harm', () => {
  const files = temporaryDirectory();
  let browser: Browser;
  let daemon: RunningDaemon;
  let origin: Origin;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root({ subject: [{ CN: [`root ${MARKUP}`] }] });
    root.write(files, 'root');
    (
      await root.issue({ subject: [{ CN: [`client ${MARKUP}`] }], sans: ['client.example'], eku: ['clientAuth'] })
    ).write(files, 'client');
    const server = await root.issue({
      subject: [{ CN: [`server ${MARKUP}`] }],
      sans: ['localhost', `URI:https://x/${MARKUP.replaceAll(' ', '%20')}`, `email:"${MARKUP}"@x.example`],
    });
    origin = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem + root.certPem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    daemon = await startDaemon({
      store: `version: 1\nverification: { mode: report }\ncertificates: [{ name: hostile, host: localhost, port: "*", cert: ${files}/client.crt, key: ${files}/client.key }]\n`,
      settings: 'log: { query: true }\nrecords: { fields: redacted }\n',
    });
    // What is in the way of HTTP itself is refused by the proxy: white space in a path, markup in a Host field.
    const path = `/${MARKUP.replaceAll(' ', '+')}`;
    const fields = ['Host: evil.example', `X-Odd: ${MARKUP}`, 'Cookie: canary'].flatMap((field) => ['-H', field]);
    await curl(`${origin.url}${path}?q=${path}`, [...through(daemon), '--globoff', ...fields]);
    await curl(`${origin.url}/named`, [...through(daemon), '-H', `Mtlsd-Certificate: ${MARKUP}`]);
    browser = await launch();
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([daemon.stop(), origin.close()]);
  });

  test('hostile subjects, names, paths and file names are text', async () => {
    const { page, complaints } = await openPage(browser, daemon);
    await page.getByRole('row', { name: 'onerror' }).click();
    const drawer = page.getByRole('complementary', { name: 'Exchange' });
    await drawer.getByText(`server ${MARKUP}`).first().waitFor();
    await drawer.getByText(`root ${MARKUP}`).first().waitFor();
    await drawer.getByText('evil.example').first().waitFor();
    await drawer.getByText('Header fields').click();
    await drawer.getByText(`x-odd: ${MARKUP}`).waitFor();
    await drawer.getByText('cookie: [redacted]').waitFor();
    await drawer.getByText('Raw').click();
    await page.getByRole('row', { name: '/named' }).click();
    await drawer.getByText(MARKUP).first().waitFor();
    await page.goto(`${daemon.admin}/?screen=certificates&entry=hostile`);
    await page.getByText(`client ${MARKUP}`).first().waitFor();
    await page.goto(
      `${daemon.admin}/?screen=certificates&q=${encodeURIComponent(MARKUP)}&entry=${encodeURIComponent(MARKUP)}`,
    );
    await page.getByRole('button', { name: 'Add a certificate' }).click();
    mkdirSync(join(files, 'odd'), { recursive: true });
    const odd = join(files, 'odd', `${MARKUP.replaceAll('/', '')}.crt`);
    writeFileSync(odd, 'nothing');
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('dialog').getByRole('button', { name: 'Drop PEM or PFX' }).click();
    await (await chooser).setFiles(odd);
    await page.getByText(`${MARKUP}.crt`).waitFor();
    await page.goto(`${daemon.admin}/?exchange=${encodeURIComponent(MARKUP)}&host=${encodeURIComponent(MARKUP)}`);
    await page.getByText('No longer remembered').waitFor();
    expect(await page.title()).toContain('mtlsd');
    expect(await page.evaluate('document.querySelectorAll("img").length')).toBe(0);
    // Refused by the policy is too late: nothing tried at all. The exchange of that id is the one thing that is not there.
    expect(complaints.filter((text) => !text.includes('400') && !text.includes('404'))).toEqual([]);
    await page.context().close();
  });

  test('mtlsd ui signs in from its file, in a browser', async () => {
    const ui = await runMtlsd(['ui', '--home', daemon.home, '--json'], { DISPLAY: '', WAYLAND_DISPLAY: '' });
    const { file, opened } = JSON.parse(ui.stdout) as { file: string; opened: boolean };
    expect(opened).toBe(false);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`file://${file}`);
    await page.waitForURL(`${daemon.admin}/`);
    await page.getByText('live', { exact: false }).first().waitFor();
    // Neither code nor token is in what a history keeps.
    expect(page.url()).toBe(`${daemon.admin}/`);
    await page.reload();
    await page.getByText('live', { exact: false }).first().waitFor();
    await page.getByRole('button', { name: 'sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in to mtlsd' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in to mtlsd' }).waitFor();
    await context.close();
  });

  describe('a page of another origin, in the browser that is signed in', () => {
    let foreign: Server;
    let base: string;

    beforeAll(async () => {
      foreign = createServer((_request, response) => {
        response.setHeader('content-type', 'text/html');
        response.end('<!doctype html><title>evil</title><body>');
      });
      await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
      base = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}/`;
    });
    afterAll(() => new Promise((resolve) => foreign.close(resolve)));

    /** Another port is the same site, so the cookie comes along; another host is another site. */
    test.each([
      ['another port of this host', (url: string) => url],
      ['another host', (url: string) => url.replace('127.0.0.1', 'localhost')],
    ])('%s can neither read, nor change, nor sign in, nor frame', async (_where, place) => {
      const { page } = await openPage(browser, daemon);
      const evil = await page.context().newPage();
      await evil.goto(place(base));
      const run = <T>(script: string): Promise<T> => evil.evaluate<T>(`(async () => { ${script} })()`);
      const target = daemon.admin;
      const read = (path: string, options = '{}') =>
        run<string>(
          `try { const r = await fetch('${target}${path}', ${options}); return r.type + ' ' + r.status + ' ' + (await r.text()).slice(0, 20); } catch (e) { return e.name; }`,
        );
      for (const path of ['/api/v1/status', '/api/v1/events', '/', '/ca.pem'])
        expect(await read(path, "{ credentials: 'include' }"), path).toBe('TypeError');
      for (const path of ['/api/v1/status', '/api/v1/exchanges'])
        expect(['TypeError', 'opaque 0 ']).toContain(await read(path, "{ mode: 'no-cors', credentials: 'include' }"));

      const verification = async () => (await (await daemon.api('/api/v1/verification')).json()) as object;
      const before = await verification();
      const json = "headers: { 'content-type': 'application/json' }, body: '{\"mode\":\"enforce\"}'";
      await read('/api/v1/verification', `{ method: 'PUT', credentials: 'include', ${json} }`);
      await read('/api/v1/certificates/hostile', "{ method: 'DELETE', credentials: 'include' }");
      await read('/api/v1/reload', "{ method: 'POST', mode: 'no-cors', credentials: 'include' }");
      await run(`navigator.sendBeacon('${target}/api/v1/reload'); return null`);
      await read('/api/v1/session', "{ method: 'DELETE', credentials: 'include' }");
      // A frame each: one that has shown another site loses its name.
      let frames = 0;
      const form = (path: string, fields: string) => {
        const name = `frame-${++frames}`;
        return `const i = document.createElement('iframe'); i.name = '${name}'; document.body.append(i);
          const f = document.createElement('form'); f.method = 'post'; f.action = '${target}${path}'; f.target = '${name}';
          f.innerHTML = '${fields}'; document.body.append(f); f.submit(); return null;`;
      };
      await run(form('/api/v1/reload', ''));
      const code = await createCode(daemon);
      const refused = evil.waitForResponse(`${target}/login`);
      await run(form('/login', `<input name=secret value=${code}>`));
      expect((await refused).status()).toBe(403);
      expect((await (await refused).allHeaders())['set-cookie']).toBeUndefined();
      expect(await verification()).toEqual(before);
      expect(await (await daemon.api('/api/v1/certificates/hostile')).json()).toMatchObject({ name: 'hostile' });

      // A frame of the page stays empty, for every client.
      const framed = evil.waitForResponse(`${target}/`);
      await run(
        `const i = document.createElement('iframe'); i.id = 'page'; i.src = '${target}/'; document.body.append(i); return null`,
      );
      expect((await (await framed).allHeaders())['x-frame-options']).toBe('DENY');
      await evil.waitForFunction('document.getElementById("page").contentWindow.length === 0');
      const frame = evil.frames().find((each) => each.url().startsWith(target));
      expect(frame === undefined || (await frame.locator('#app').count()) === 0).toBe(true);

      // A window that it opens is the page, and closed to it.
      const [popup] = await Promise.all([
        evil.waitForEvent('popup'),
        run(`window.opened = window.open('${target}/'); return null`),
      ]);
      await popup.waitForLoadState();
      expect(
        await run<string>('try { return String(window.opened.document.title) } catch (e) { return e.name }'),
      ).not.toContain('mtlsd');

      // The session of the page has come through all of it.
      await page.reload();
      await page.getByText('live', { exact: false }).first().waitFor();
      expect(await page.getByRole('heading', { name: 'Sign in to mtlsd' }).count()).toBe(0);
      await page.context().close();
    });

    test('a sandboxed frame, whose origin is null, is not signed in without a code', async () => {
      const context = await browser.newContext();
      const evil = await context.newPage();
      await evil.goto(base);
      const attached = evil.waitForEvent('frameattached');
      await evil.evaluate(`{
        const i = document.createElement('iframe');
        i.sandbox = 'allow-scripts allow-forms';
        i.srcdoc = '<form method=post action="${daemon.admin}/login"><input name=secret value="${daemon.token}"></form>';
        document.body.append(i);
      }`);
      // Chromium gives such a frame a process of its own: a form that is sent before that is seen can't be waited for.
      const frame = await attached;
      await frame.locator('input').waitFor();
      expect(await frame.evaluate('origin')).toBe('null');
      const answer = evil.waitForResponse(`${daemon.admin}/login`);
      await frame.evaluate('document.forms[0].submit()');
      expect((await answer).status()).toBe(401);
      expect(await context.cookies(daemon.admin)).toEqual([]);
      await context.close();
    });
  });
});
