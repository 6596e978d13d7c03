/** What was done, said once, with a way back where there is one. */
import { signal } from '@preact/signals';
import { ApiFailure } from '../api/client.ts';
import { sentence } from '../words/text.ts';
import { pageHint } from '../words/hint.ts';

export interface Toast {
  readonly id: number;
  readonly kind: 'done' | 'failed';
  readonly text: string;
  readonly action: { readonly label: string; readonly run: () => Promise<void> } | null;
}

export const toasts = signal<readonly Toast[]>([]);

/** Long enough to read and reach; one with an undo stays until it is closed or used. */
const SHOWN_MS = 6_000;
const MOST_SHOWN = 4;
let count = 0;

export function tell(text: string, action: Toast['action'] = null): void {
  show({ kind: 'done', text, action });
}

export function tellFailure(error: unknown): void {
  show({ kind: 'failed', text: failureText(error), action: null });
}

export function failureText(error: unknown): string {
  if (error instanceof ApiFailure) return `${sentence(error.message)} ${error.hint === '' ? '' : pageHint(error.hint)}`;
  return sentence(error instanceof Error ? error.message : String(error));
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

function show(toast: Omit<Toast, 'id'>): void {
  const id = ++count;
  toasts.value = [...toasts.value.slice(1 - MOST_SHOWN), { ...toast, id }];
  if (toast.kind === 'done' && toast.action === null) setTimeout(() => dismiss(id), SHOWN_MS);
}
