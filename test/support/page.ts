/** The page in Debian's Chromium, signed in; everything else of this machine is out of its reach. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { RunningDaemon } from './daemon.ts';

export const CHROMIUM = '/usr/bin/chromium';
export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: FLAGS,
  });
}

export async function createCode(daemon: Pick<RunningDaemon, 'api'>): Promise<string> {
  const response = await daemon.api('/api/v1/session/codes', { method: 'POST' });
  return ((await response.json()) as { code: string }).code;
}

export interface OpenPage extends BrowserContextOptions {
  /** `/?screen=trust` */
  readonly path?: string;
}

/** A page of its own context; what it logs or throws is in `complaints`. */
export async function openPage(
  browser: Browser,
  daemon: RunningDaemon,
  { path = '/', ...options }: OpenPage = {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.goto(`${daemon.admin}${path}`);
  await signIn(page, daemon);
  // Asked before there was a session.
  complaints.length = 0;
  return { page, complaints };
}

export async function signIn(page: Page, daemon: Pick<RunningDaemon, 'api'>): Promise<void> {
  await page.getByLabel('Code, or the token').fill(await createCode(daemon));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('live', { exact: false }).first().waitFor();
}
