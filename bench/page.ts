/**
 * The page with 10,000 exchanges and with 500 new ones a second, in Chromium: how long frames take, and what the daemon pays.
 * `npm run build && node bench/page.ts`. Writes nothing; docs/page.md has the figures.
 */
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { startDaemon } from '../test/support/daemon.ts';
import { nodeOrigin } from '../test/support/origins.ts';
import { launch, openPage } from '../test/support/page.ts';
import { type Load, openLoad } from '../test/support/page-scene.ts';
import { createPki } from '../test/support/pki.ts';

const SECONDS = 10;
const PER_SECOND = 500;

const root = await (await createPki()).root();
const server = await root.issue({ cn: 'localhost' });
const origin = await nodeOrigin({ key: server.keyPem, cert: server.chainPem });
const daemon = await startDaemon({
  store: 'version: 1\nverification: { mode: report }\n',
});
// Whatever ends this, the daemon ends too.
process.on('exit', () => daemon.process.kill());
const load = await openLoad(daemon, origin.url);
const browser = await launch();
try {
  const { page } = await openPage(browser, daemon);
  await load.send(10_000);
  await page.getByText('10000 exchanges', { exact: true }).waitFor();

  report('scrolling through 10,000', await framesDuring(page, () => scrollThrough(page)));
  console.log(`the longest task of the page's thread, in CPU time: ${ms(await longestTask(browser, page))}`);

  const alone = await sendSteadily(load);
  const before = cpuMs();
  let answers: number[] = [];
  const live = await framesDuring(page, async () => {
    answers = await sendSteadily(load);
  });
  const withPage = cpuMs() - before;
  report(`${PER_SECOND} new ones a second`, live);
  console.log(`rows in the document: ${await page.evaluate<number>('document.querySelectorAll("[role=row]").length')}`);
  await page.context().close();
  const start = cpuMs();
  const after = await sendSteadily(load);
  console.log(
    `a request takes ${ms(quantile(after, 0.5))} (p95 ${ms(quantile(after, 0.95))}) without a page, ` +
      `${ms(quantile(answers, 0.5))} (p95 ${ms(quantile(answers, 0.95))}) with one; first run ${ms(quantile(alone, 0.5))}`,
  );
  console.log(
    `the daemon's CPU per exchange: ${us(cpuMs() - start, after.length)} without a page, ${us(withPage, answers.length)} with one`,
  );
} finally {
  await browser.close();
  await load.close();
  await daemon.stop();
  await origin.close();
}

/** A screen at a time with the wheel, from end to end and back, as fast as frames come. */
async function scrollThrough(page: Page): Promise<void> {
  await page.evaluate(`(async () => {
    const rows = document.querySelector('.rows');
    const frame = () => new Promise(requestAnimationFrame);
    rows.scrollTop = 0;
    for (const step of [120, -120, 900, -900]) {
      for (let count = 0; count < 250; count++) {
        rows.scrollTop += step;
        await frame();
      }
    }
  })()`);
}

/**
 * Other programs on the machine make frames late; the thread's own clock counts only the page's work. In ms.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU has the fields.
 */
async function longestTask(browser: Browser, page: Page): Promise<number> {
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  await scrollThrough(page);
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const main = trace.traceEvents.find(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain');
  const tasks = trace.traceEvents.filter(
    ({ pid, tid, tdur }) => pid === main?.pid && tid === main.tid && tdur !== undefined,
  );
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000;
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the thread's own time. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** The milliseconds between frames while something continues. */
async function framesDuring(page: Page, work: () => Promise<void>): Promise<number[]> {
  await page.evaluate(`{
    window.frames_ = []; window.measuring_ = true;
    let last = performance.now();
    const frame = (now) => { window.frames_.push(now - last); last = now; if (window.measuring_) requestAnimationFrame(frame); };
    requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame); });
  }`);
  await work();
  return page.evaluate<number[]>('{ window.measuring_ = false; window.frames_ }');
}

/** At a fixed rate, also when answers are slow; the milliseconds of each. */
async function sendSteadily({ send }: Load): Promise<number[]> {
  const batches: Promise<number[]>[] = [];
  const started = performance.now();
  for (let sent = 0; sent < SECONDS * PER_SECOND; sent += 20) {
    batches.push(send(20, 8));
    const due = started + ((sent + 20) / PER_SECOND) * 1_000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
  return (await Promise.all(batches)).flat();
}

function report(what: string, frames: readonly number[]): void {
  const long = frames.filter((frame) => frame > 50).length;
  console.log(
    `${what}: ${frames.length} frames, median ${ms(quantile(frames, 0.5))}, p99 ${ms(quantile(frames, 0.99))}, longest ${ms(Math.max(...frames))}, ${long} longer than 50 ms`,
  );
}

/** User and system time of the daemon, in ticks of 10 ms. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${daemon.process.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? NaN;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function us(total: number, count: number): string {
  return `${Math.round((total * 1000) / count)} µs`;
}
