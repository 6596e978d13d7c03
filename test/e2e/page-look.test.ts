import { AxeBuilder } from '@axe-core/playwright';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { launch, openPage } from '../support/page.ts';
import { openLoad, openScene, type Scene } from '../support/page-scene.ts';
import { createPki } from '../support/pki.ts';
import { packed } from '../support/png.ts';
import { hasTool } from '../support/tools.ts';

const DOCS = new URL('../../docs/', import.meta.url);
const TEXT = readFileSync(new URL('page.md', DOCS), 'utf8');
/** `UPDATE_SCREENSHOTS=1` writes the pictures that docs/page.md shows; otherwise all go into a temporary folder. */
const UPDATES = process.env.UPDATE_SCREENSHOTS !== undefined;
const SHOTS = UPDATES ? new URL('page/', DOCS).pathname : temporaryDirectory();

const HOME_IN_PATHS = `{
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    node.data = node.data.replaceAll(/\\/tmp\\/mtlsd-test-\\w+/g, '/home/alex/.mtlsd');
  }
}`;

const SIZES = { wide: { width: 1180, height: 720 }, narrow: { width: 420, height: 720 } } as const;
type Size = keyof typeof SIZES;

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
  readonly sizes?: readonly Size[];
}

const SCREENS: readonly Shot[] = [
  { name: 'console', path: '/', prepare: (page) => page.getByText('20 exchanges').waitFor() },
  {
    name: 'console-failure',
    path: '/?q=dev.lab',
    prepare: async (page) => {
      await page.getByRole('row', { name: 'dev.lab.example' }).click();
      await page.getByText('Test Lab Root', { exact: true }).waitFor();
    },
  },
  {
    name: 'console-success',
    path: '/?q=missing',
    prepare: async (page) => {
      await page.getByRole('row', { name: 'missing/4711' }).click();
      await page.getByText('Partner Root CA', { exact: true }).waitFor();
    },
  },
  { name: 'certificates', path: '/?screen=certificates', prepare: (page) => page.getByText('6 entries').waitFor() },
  {
    name: 'certificate',
    path: '/?screen=certificates&entry=orders',
    prepare: (page) => page.getByText('Sent to api.partner.example').waitFor(),
  },
  {
    name: 'match',
    path: '/?screen=certificates',
    prepare: async (page) => {
      await page
        .getByRole('textbox', { name: 'Which certificate would this URL get?' })
        .fill('https://api.partner.example/v1/orders');
      await page.getByRole('button', { name: 'Look' }).click();
      await page.getByText('gets orders if it asks').waitFor();
    },
  },
  {
    name: 'add-certificate',
    path: '/?screen=certificates',
    prepare: async (page) => {
      await page.getByRole('button', { name: 'Add a certificate' }).click();
      await page.getByRole('dialog').getByLabel('Host').fill('new.partner.example');
    },
  },
  {
    name: 'trust-ca',
    path: '/?q=dev.lab',
    prepare: async (page) => {
      await page.getByRole('row', { name: 'dev.lab.example' }).click();
      await page.getByRole('button', { name: 'Trust this CA' }).click();
      await page.getByRole('dialog').getByText('Compare its SHA-256').waitFor();
    },
  },
  {
    name: 'trust',
    path: '/?screen=trust',
    prepare: (page) => page.getByText('Partner Root CA', { exact: true }).waitFor(),
  },
  {
    name: 'rule',
    path: '/?screen=trust',
    prepare: (page) => page.getByRole('button', { name: 'Add a rule' }).click(),
  },
  { name: 'clients', path: '/?screen=clients', prepare: (page) => page.getByText('git config --global').waitFor() },
  { name: 'help', path: '/', prepare: (page) => page.keyboard.press('?'), sizes: ['wide'] },
];

describe.runIf(hasTool('chromium'))('how the page looks', () => {
  let browser: Browser;
  let scene: Scene;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    [browser, scene] = await Promise.all([launch(), openScene()]);
  });
  afterAll(async () => {
    await browser.close();
    await scene.close();
  });

  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    test.each(['wide', 'narrow'] as const)('%s: every screen is accessible, and fits its window', async (size) => {
      const { page, complaints } = await openPage(browser, scene.daemon, {
        colorScheme,
        viewport: SIZES[size],
        reducedMotion: 'reduce',
      });
      for (const { name, path, prepare, sizes } of SCREENS) {
        if (sizes && !sizes.includes(size)) continue;
        await page.goto(`${scene.daemon.admin}${path}`);
        await page.getByText('live', { exact: false }).first().waitFor();
        await prepare?.(page);
        await look(page, `${name}-${size}-${colorScheme}`);
      }
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('the form to sign in, and what is empty', async () => {
      const daemon = await startDaemon();
      const context = await browser.newContext({ colorScheme, viewport: SIZES.wide });
      const page = await context.newPage();
      await page.goto(daemon.admin);
      await page.getByRole('heading', { name: 'Sign in to mtlsd' }).waitFor();
      await look(page, `sign-in-wide-${colorScheme}`);
      await context.close();
      const { page: empty } = await openPage(browser, daemon, { colorScheme });
      await empty.getByText('Waiting for the first request').waitFor();
      await look(empty, `console-empty-wide-${colorScheme}`);
      await empty.goto(`${daemon.admin}/?screen=certificates`);
      await empty.getByText('No certificate yet').waitFor();
      await look(empty, `certificates-empty-wide-${colorScheme}`);
      await daemon.stop();
      await empty.getByText('The daemon does not answer').waitFor();
      await look(empty, `away-wide-${colorScheme}`);
      expect(await empty.getByText('The daemon does not answer').isVisible()).toBe(true);
      await empty.context().close();
    });
  });

  test('docs/page.md shows each screen in both themes and sizes, and its pictures are small', () => {
    for (const screen of ['console', 'certificates', 'trust', 'clients'])
      for (const size of ['wide', 'narrow'])
        for (const theme of ['light', 'dark']) expect(TEXT).toContain(`(page/${screen}-${size}-${theme}.png)`);
    for (const [, file = ''] of TEXT.matchAll(/\]\((page\/[\w-]+\.png)\)/g))
      expect(readFileSync(new URL(file, DOCS)).length, file).toBeLessThan(150_000);
  });

  async function look(page: Page, name: string): Promise<void> {
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    const found = serious.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html }) => html).join('\n  ')}`);
    expect(found).toEqual([]);
    // Nothing sticks out to the right.
    expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth'), name).toBeLessThanOrEqual(
      0,
    );
    const file = `${name}.png`;
    // What a reader would have in place of the folders that this run made.
    if (UPDATES) await page.evaluate(HOME_IN_PATHS);
    if (!UPDATES || TEXT.includes(`(page/${file})`)) writeFileSync(join(SHOTS, file), packed(await page.screenshot()));
  }
});

describe.runIf(hasTool('chromium'))('many exchanges', () => {
  let browser: Browser;
  let daemon: RunningDaemon;
  let origin: Origin;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    const server = await root.issue({ cn: 'localhost' });
    origin = await nodeOrigin({ key: server.keyPem, cert: server.chainPem });
    daemon = await startDaemon({
      store: 'version: 1\nverification: { mode: report }\n',
    });
    browser = await launch();
  });
  afterAll(async () => {
    await browser.close();
    await daemon.stop();
    await origin.close();
  });

  const rowCount = (page: Page) => page.evaluate<number>('document.querySelectorAll("[role=row]").length');

  test('10,000 are a list of at most 100 rows, from end to end', async () => {
    const { page, complaints } = await openPage(browser, daemon);
    const load = await openLoad(daemon, origin.url);
    await load.send(10_000);
    await load.close();
    await page.getByText('10000 exchanges', { exact: true }).waitFor();
    const grid = page.getByRole('grid');
    expect(await grid.getAttribute('aria-rowcount')).toBe('10001');
    await grid.focus();
    for (const key of ['Home', 'PageDown', 'End', 'PageUp', 'ArrowDown', 'Home']) {
      await page.keyboard.press(key);
      await page.locator('.row.active').waitFor();
      await page.getByRole('row').nth(10).waitFor();
      expect(await rowCount(page)).toBeLessThanOrEqual(100);
    }
    await page.getByLabel('Filter exchanges').fill('/load/77');
    await page.getByText('111 of 10000 exchanges').waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test('500 a second leave the page usable, are all shown, and delay no request', async () => {
    const { page } = await openPage(browser, daemon);
    await page.getByRole('row').nth(1).waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    const load = await openLoad(daemon, origin.url);
    let toggles = 0;
    const state = { running: true };
    const sending = (async () => {
      // 20 every 40 ms: nothing waits for the page, so that a page that holds up the daemon shows as a slow answer.
      const batches: Promise<number[]>[] = [];
      for (let batch = 0; batch < 150; batch++) {
        batches.push(load.send(20, 8));
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
      const times = (await Promise.all(batches)).flat();
      state.running = false;
      return times;
    })();
    while (state.running) {
      await page.getByRole('button', { name: 'Failures' }).click();
      await page.getByRole('button', { name: 'Failures', pressed: true }).waitFor();
      await page.getByRole('button', { name: 'Failures' }).click();
      await page.getByRole('button', { name: 'Failures', pressed: false }).waitFor();
      toggles += 1;
      expect(await rowCount(page)).toBeLessThanOrEqual(100);
    }
    const times = await sending;
    await load.close();
    await page.getByText('3000 exchanges', { exact: true }).waitFor();
    // bench/page.ts measures the speed; here the page answers while they come, and none is lost.
    expect(toggles).toBeGreaterThan(2);
    expect(times).toHaveLength(3_000);
    await page.context().close();
  });
});
