/** cross_site in Chromium: pages of two sites through the daemon, and the certificate that the origin saw for what they asked. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { launch } from '../support/page.ts';
import { createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

const SETTINGS = ['withhold', 'refuse', 'allow', 'list'] as const;
type Setting = (typeof SETTINGS)[number];
const hostOf = (setting: Setting): string => `${setting}.example`;
/** Sites without a certificate; the list names the second. */
const EVIL = 'evil.test';
const FRIEND = 'friend.test';

/** What a page of another site does, without a click: scripts, with URL in place of the address. */
const ACTS: Readonly<Record<string, string>> = {
  fetch: "void fetch(URL, { credentials: 'include' }).catch(() => {})",
  'no-cors': "void fetch(URL, { mode: 'no-cors' }).catch(() => {})",
  img: 'void (new Image().src = URL)',
  iframe: "document.body.append(Object.assign(document.createElement('iframe'), { src: URL }))",
  websocket: "void new WebSocket(URL.replace('https:', 'wss:'))",
};
const FORM =
  "document.body.appendChild(Object.assign(document.createElement('form'), { action: URL, method: 'POST' })).submit()";
const LINK = "document.body.append(Object.assign(document.createElement('a'), { href: URL, textContent: 'follow' }))";

const script = (act: string, url: string): string => act.replaceAll('URL', JSON.stringify(url));

describe.runIf(hasTool('chromium'))('cross_site in Chromium', () => {
  const dir = temporaryDirectory();
  /** Path to the client's common name; null for none. */
  const seen = new Map<string, string | null>();
  let browser: Browser;
  let context: BrowserContext;
  let daemon: RunningDaemon;
  let origin: Origin;
  let count = 0;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(dir, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(dir, 'alice');
    const hosts = [...SETTINGS.map(hostOf), EVIL, FRIEND];
    const { keyPem, certPem } = await root.issue({ cn: 'sites', sans: hosts });
    origin = await nodeOrigin(
      { key: keyPem, cert: certPem, ca: root.certPem, requestCert: true, rejectUnauthorized: false },
      (request, response, { url, client }) => {
        seen.set(url, client);
        request.resume();
        response.setHeader('content-type', 'text/html').end('<!doctype html><title>a page</title><body></body>');
      },
    );
    origin.server.on('upgrade', ({ url = '', socket }, raw: Socket) => {
      seen.set(url, /^CN=(.*)$/m.exec((socket as TLSSocket).getPeerX509Certificate()?.subject ?? '')?.[1] ?? null);
      raw.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    });
    const entries = SETTINGS.map((setting) => {
      const value = setting === 'list' ? `["https://${FRIEND}"]` : setting;
      return `  - { name: ${setting}, host: ${hostOf(setting)}, cert: ${dir}/alice.crt, key: ${dir}/alice.key, cross_site: ${value} }\n`;
    });
    daemon = await startDaemon({
      store: `version: 1\ncertificates:\n${entries.join('')}trust: { system: false, ca: [${dir}/root.crt] }\n`,
      settings: `connect_to:\n${hosts.map((host) => `  ${host}:443: 127.0.0.1:${origin.port}\n`).join('')}`,
    });
    browser = await launch();
    context = await browser.newContext({ proxy: { server: daemon.proxy }, ignoreHTTPSErrors: true });
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([daemon?.stop(), origin?.close()]);
  });

  async function openSite(host: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`https://${host}/`);
    return page;
  }

  /** `alice`, `none`, or the status of a refusal: what the origin saw, held to the record. */
  async function outcome(setting: Setting, act: (url: string) => Promise<unknown>): Promise<string> {
    const path = `/${setting}/${++count}`;
    await act(`https://${hostOf(setting)}${path}`);
    const record = await daemon.event('exchange', (line) => line.path === path);
    if (record.status === 403) {
      expect(seen.has(path)).toBe(false);
      return '403';
    }
    const client = seen.get(path) ?? null;
    expect(record.certificate).toBe(client === null ? null : setting);
    return client ?? 'none';
  }

  async function outcomes(page: Page, setting: Setting): Promise<Record<string, string>> {
    const all: Record<string, string> = {};
    for (const [name, act] of Object.entries(ACTS))
      all[name] = await outcome(setting, (url) => page.evaluate(script(act, url)));
    return all;
  }
  const allOf = (expected: string): Record<string, string> =>
    Object.fromEntries(Object.keys(ACTS).map((name) => [name, expected]));

  test.each([
    ['withhold', 'none'],
    ['refuse', '403'],
    ['allow', 'alice'],
    ['list', 'none'],
  ] as const)('%s: what a page of another site asks for', async (setting, expected) => {
    const page = await openSite(EVIL);
    expect(await outcomes(page, setting)).toEqual(allOf(expected));
    await page.close();
  });

  test('a list allows the page that it names, where the browser says which page it is', async () => {
    const page = await openSite(FRIEND);
    // Without Origin the site of an image or frame is unknown.
    expect(await outcomes(page, 'list')).toEqual({
      ...allOf('none'),
      fetch: 'alice',
      websocket: 'alice',
    });
    await page.close();
  });

  test('a form of another site goes without, a link that is followed keeps the certificate', async () => {
    for (const [setting, expected] of [
      ['withhold', 'none'],
      ['refuse', '403'],
      ['allow', 'alice'],
      ['list', 'none'],
    ] as const) {
      const page = await openSite(EVIL);
      expect(await outcome(setting, (url) => page.evaluate(script(FORM, url)))).toBe(expected);
      await page.close();
    }
    for (const setting of SETTINGS) {
      const page = await openSite(EVIL);
      const follow = async (url: string): Promise<void> => {
        await page.evaluate(script(LINK, url));
        await page.getByText('follow').click();
      };
      expect(await outcome(setting, follow)).toBe('alice');
      await page.close();
    }
  });

  test('the site itself, and an address that is typed, keep the certificate', async () => {
    for (const setting of SETTINGS) {
      const page = await openSite(hostOf(setting));
      expect(await outcomes(page, setting)).toEqual(allOf('alice'));
      expect(await outcome(setting, (url) => page.goto(url))).toBe('alice');
      await page.close();
    }
  });
});
