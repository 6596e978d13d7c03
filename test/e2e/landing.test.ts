/** The landing page in Chromium: what a person sees who comes through the proxy and does not trust the CA, and then does. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { CHROMIUM, FLAGS } from '../support/page.ts';
import { hasTool } from '../support/tools.ts';

describe.runIf(hasTool('chromium') && hasTool('certutil'))('the landing page in Chromium', () => {
  let daemon: RunningDaemon;
  let context: BrowserContext | null = null;
  beforeAll(async () => {
    daemon = await startDaemon();
  });
  afterEach(async () => {
    await context?.close();
    context = null;
  });
  afterAll(() => daemon.stop());

  /** A browser of its own home, which has the trust store. */
  async function open(trusted: boolean): Promise<{ page: Page; complaints: string[] }> {
    const home = temporaryDirectory();
    const store = join(home, '.pki/nssdb');
    mkdirSync(store, { recursive: true });
    const certutil = (...args: string[]) => execFileSync('certutil', ['-d', `sql:${store}`, ...args]);
    certutil('-N', '--empty-password');
    if (trusted) certutil('-A', '-n', 'mtlsd', '-t', 'C,,', '-i', daemon.caFile);
    context = await chromium.launchPersistentContext(join(home, 'profile'), {
      executablePath: CHROMIUM,
      args: [...FLAGS],
      proxy: { server: daemon.proxy },
      env: { ...process.env, HOME: home },
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto('http://mtlsd.test/');
    return { page, complaints };
  }

  test('says that the CA is not trusted, shows its fingerprint, and gives its files', async () => {
    const { page, complaints } = await open(false);
    await page.getByText('Not trusted: this browser does not trust the CA yet.').waitFor();
    const { fingerprint256 } = new X509Certificate(readFileSync(daemon.caFile));
    expect(await page.getByText(fingerprint256).count()).toBe(1);
    await page.getByText('Firefox, on every system').click();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'mtlsd-ca.pem' }).and(page.locator(':visible')).click();
    const file = await (await download).path();
    expect(new X509Certificate(readFileSync(file)).fingerprint256).toBe(fingerprint256);
    // The one complaint is about the test itself; none is about the policy of the page.
    expect(complaints.filter((text) => !text.includes('ERR_CERT_AUTHORITY_INVALID'))).toEqual([]);
  });

  test('says that it is trusted', async () => {
    const { page, complaints } = await open(true);
    await page.getByText('Trusted: this browser trusts the CA.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Test again' }).click();
    await page.getByText('Trusted: this browser trusts the CA.', { exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('shows both CAs in a rotation, and tests the new one', async () => {
    const rotation = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    await daemon.api('/api/v1/ca/rotation', rotation);
    // Trusts the present one alone: certutil takes the first certificate of a file.
    const { page } = await open(true);
    await page.getByText('Not trusted: this browser does not trust the CA yet.').waitFor();
    await page.getByText('This CA is being replaced by a new one. Install both.').waitFor();
    for (const pem of readFileSync(daemon.caFile, 'utf8').split(/(?<=END CERTIFICATE-----\n)/))
      expect(await page.getByText(new X509Certificate(pem).fingerprint256).count()).toBe(1);
    await page.getByText('Firefox, on every system').click();
    expect(await page.getByRole('link', { name: 'mtlsd-ca-new.pem' }).and(page.locator(':visible')).count()).toBe(1);
    await daemon.api('/api/v1/ca/rotation/finish', { method: 'POST' });
    await context?.close();
    const { page: after } = await open(true);
    await after.getByText('Trusted: this browser trusts the CA.', { exact: true }).waitFor();
  });
});
