/** The exchanges that the console shows: those of the daemon's memory, and the live ones in batches. */
import { computed, effect, signal } from '@preact/signals';
import { call } from '../api/client.ts';
import type { Exchange } from '../api/document.ts';
import { type Filter, filterOf, fits } from '../words/filter.ts';
import { params } from './router.ts';

/** The daemon remembers 2,000 unless the settings say otherwise; a page that stays open shows more. */
const MOST_KEPT = 10_000;
/** So many at a time, so that no batch holds up a frame. */
const PAGE = 1_000;
/** Nobody reads faster than this; twelve updates a second cost a tenth of what sixty do. */
const FLUSH_MS = 80;
/** Dropped at once when there are too many, so that the list is not moved with every one. */
const DROP = 500;

export const paused = signal(false);
/** Not shown yet, because the list is paused. */
export const waiting = signal(0);
/** Whether the list was emptied manually: then it is not the first request that is waited for. */
export const cleared = signal(false);
/** Left out by the daemon, since the page was too slow. */
export const lost = signal(0);
/** Counts up with every change of `rows`. */
export const version = signal(0);
/** So many rows went from the top in all; the list keeps its place by it. */
export const dropped = signal(0);
export const filter = computed(() => filterOf(params.value));

let all: Exchange[] = [];
let rows: Exchange[] = [];
let pending: Exchange[] = [];
const seen = new Set<string>();
/** Counts up with every clearing: what was asked for before it is not shown after it. */
let epoch = 0;
let timer: ReturnType<typeof setTimeout> | null = null;

/** Oldest first; those that fit the filter. */
export const shownRows = (): readonly Exchange[] => rows;
export const keptCount = (): number => all.length;
export const find = (id: string): Exchange | undefined => all.find(({ exchange }) => exchange === id);

export function add(records: readonly Exchange[]): void {
  for (const record of records) {
    if (seen.has(record.exchange)) continue;
    seen.add(record.exchange);
    pending.push(record);
  }
  if (pending.length > MOST_KEPT) pending = pending.slice(-MOST_KEPT);
  if (pending.length > 0) timer ??= setTimeout(flush, FLUSH_MS);
}

function flush(): void {
  timer = null;
  if (paused.value) {
    waiting.value = pending.length;
    return;
  }
  waiting.value = 0;
  append(pending);
  pending = [];
}

function append(records: readonly Exchange[]): void {
  const { value } = filter;
  for (const record of records) {
    all.push(record);
    if (fits(record, value)) rows.push(record);
  }
  if (all.length > MOST_KEPT + DROP) dropOldest(all.length - MOST_KEPT, value);
  version.value++;
}

function dropOldest(count: number, by: Filter): void {
  const gone = all.slice(0, count);
  all = all.slice(count);
  for (const { exchange } of gone) seen.delete(exchange);
  const shown = gone.reduce((sum, record) => sum + (fits(record, by) ? 1 : 0), 0);
  rows = rows.slice(shown);
  dropped.value += shown;
}

/** From the page alone: the daemon remembers them still. */
export function clear(): void {
  cleared.value = true;
  epoch++;
  all = [];
  rows = [];
  pending = [];
  waiting.value = 0;
  lost.value = 0;
  version.value++;
}

export function setPaused(value: boolean): void {
  paused.value = value;
  if (!value) flush();
}

/** What the daemon remembers, the newest page first. */
export async function loadRemembered(): Promise<void> {
  const started = epoch;
  let before: string | undefined;
  const pages: Exchange[][] = [];
  for (let left = MOST_KEPT; left > 0; left -= PAGE) {
    const query = { limit: PAGE, ...(before !== undefined && { before }) };
    const { answer } = await call('listExchanges', { query });
    if (epoch !== started) return;
    pages.unshift(answer.exchanges.toReversed());
    insertOlder(pages.shift() ?? []);
    if (answer.next === null) return;
    before = answer.next;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

function insertOlder(records: readonly Exchange[]): void {
  const fresh = records.filter(({ exchange }) => !seen.has(exchange));
  for (const { exchange } of fresh) seen.add(exchange);
  if (fresh.length === 0) return;
  const shown = fresh.filter((record) => fits(record, filter.value));
  all = [...fresh, ...all];
  rows = [...shown, ...rows];
  dropped.value -= shown.length;
  version.value++;
}

effect(() => {
  const { value } = filter;
  rows = all.filter((record) => fits(record, value));
  version.value = version.peek() + 1;
});
