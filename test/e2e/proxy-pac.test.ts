/** Chromium with /proxy.pac as its proxy configuration. */
import { chromium } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { startDaemon } from '../support/daemon.ts';
import { CHROMIUM, FLAGS } from '../support/page.ts';
import { hasTool } from '../support/tools.ts';

describe.runIf(hasTool('chromium'))('automatic configuration of Chromium', () => {
  test('sends to the proxy what the store lists, and the name that only the proxy answers', async () => {
    await using stack = new AsyncDisposableStack();
    const daemon = await startDaemon({
      store: `version: 1
certificates: [{ host: api.example, cert: none.pem }, { host: "*.corp.example", port: 8443, cert: none.pem }]
interception: { mode: listed }
`,
    });
    stack.defer(async () => void (await daemon.stop()));
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      // What goes direct finds no address: nothing leaves this machine.
      args: [
        ...FLAGS,
        `--proxy-pac-url=${daemon.admin}/proxy.pac`,
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      ],
    });
    stack.defer(() => browser.close());
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const visit = async (url: string): Promise<number | string | undefined> => {
      // A page of its own: the error page of a failed visit comes late, and would interrupt the next one.
      const page = await context.newPage();
      try {
        return (await page.goto(url))?.status();
      } catch (error) {
        return /net::\w+/.exec((error as Error).message)?.[0] ?? (error as Error).message;
      }
    };
    expect(await visit('http://mtlsd.test/')).toBe(200);
    // The daemon's answer: the file of the certificate is missing.
    expect(await visit('https://api.example/')).toBe(502);
    expect(await visit('https://a.corp.example:8443/')).toBe(502);
    for (const url of ['https://a.corp.example/', 'http://api.example/', 'https://other.example/'])
      expect(await visit(url), url).toBe('net::ERR_NAME_NOT_RESOLVED');
    expect(await visit(`${daemon.admin}/healthz`)).toBe(200);
  });
});
