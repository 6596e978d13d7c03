/** Where one is: `/?screen=certificates&entry=NAME`. All of it is in the query, so that the daemon serves one page. */
import { computed, signal } from '@preact/signals';
import { type Changes, withParams } from '../words/address.ts';

export const SCREENS = ['console', 'certificates', 'trust', 'clients'] as const;
export type Screen = (typeof SCREENS)[number];

const search = signal(globalThis.location?.search ?? '');

export const params = computed(() => new URLSearchParams(search.value));
export const screen = computed<Screen>(() => {
  const named = params.value.get('screen');
  return SCREENS.find((each) => each === named) ?? 'console';
});

/** @param replace for what is typed letter by letter, which is no step to come back to */
export function setParams(changes: Changes, replace = false): void {
  navigate(withParams(search.value, changes), replace);
}

export function hrefOf(to: Screen, changes: Changes = {}): string {
  return withParams('', { screen: to === 'console' ? null : to, ...changes });
}

export function go(to: Screen, changes: Changes = {}): void {
  navigate(hrefOf(to, changes), false);
}

function navigate(href: string, replace: boolean): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  search.value = location.search;
}

globalThis.addEventListener?.('popstate', () => {
  search.value = location.search;
});
