/** The connection to the daemon: is it there, is the page signed in, and what state is it in. */
import { batch, computed, signal } from '@preact/signals';
import { ApiFailure, call, signIn as postSecret } from '../api/client.ts';
import type { Exchange, Operations, Status } from '../api/document.ts';
import { follow, type LinkState } from '../api/live.ts';
import { add, loadRemembered, lost } from './exchanges.ts';

export const link = signal<LinkState>('connecting');
export const status = signal<Status | null>(null);
export const verification = signal<Operations['showVerification']['answer'] | null>(null);
/** Counts up when another store is in force: what shows the store reads it again. */
export const storeVersion = signal(0);

/** Whether every server gets requests, with any certificate: by the mode, or by a rule for every host. */
export const verificationOff = computed(() => {
  const { mode, rules = [] } = verification.value ?? {};
  if (mode === 'report') return 'the mode is report';
  return rules.some((rule) => rule.host === '*' && rule.mode === 'report') ? 'a rule for * has the mode report' : null;
});

const lastId = { value: '' };
let running = false;
let hasLoaded = false;

export function startLink(): void {
  document.addEventListener('visibilitychange', retry);
  addEventListener('focus', retry);
  void run();
}

/** Another tab may have signed in. */
function retry(): void {
  if (document.visibilityState === 'visible' && link.value === 'signed-out') void run();
}

async function run(): Promise<void> {
  if (running) return;
  running = true;
  try {
    await follow({ onState, onEvents }, lastId);
  } finally {
    running = false;
  }
}

function onState(state: LinkState): void {
  const before = link.value;
  link.value = state;
  if (state !== 'live' || before === 'live') return;
  void refresh();
  // After the stream is open, so that nothing falls in between; a stream that is opened again continues where it ended.
  if (hasLoaded) return;
  hasLoaded = true;
  loadRemembered().catch(() => {
    hasLoaded = false;
  });
}

function onEvents(events: readonly { readonly event: string; readonly data: string }[]): void {
  const records: Exchange[] = [];
  for (const { event, data } of events) {
    if (event === 'exchange') records.push(JSON.parse(data) as Exchange);
    else if (event === 'lost') lost.value += (JSON.parse(data) as { count: number }).count;
    else if (event === 'store') void refresh();
  }
  if (records.length > 0) add(records);
}

/** Reads the state of the daemon again; after every change and with every other store. */
export async function refresh(): Promise<void> {
  try {
    const [now, rules] = await Promise.all([call('status'), call('showVerification')]);
    batch(() => {
      status.value = now.answer;
      verification.value = rules.answer;
      storeVersion.value++;
    });
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 401) link.value = 'signed-out';
  }
}

/** @throws ApiFailure */
export async function signIn(secret: string): Promise<void> {
  await postSecret(secret);
  link.value = 'connecting';
  void run();
}

export async function signOut(): Promise<void> {
  await call('signOut').catch(() => {});
  link.value = 'signed-out';
}
