/** Keys without a modifier, wherever nothing is typed and no dialog is open. */
import { signal } from '@preact/signals';
import { dialog } from './dialogs.ts';

/** Off for those whose speech input or layout gets in the way of single keys. */
export const enabled = signal(globalThis.localStorage?.getItem('hotkeys') !== 'off');

export function setEnabled(value: boolean): void {
  enabled.value = value;
  localStorage.setItem('hotkeys', value ? 'on' : 'off');
}

export function hotkeys(actions: Readonly<Record<string, () => void>>): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!enabled.peek() || dialog.peek() !== null || isTyping(event.target)) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, dialog') !== null
  );
}
