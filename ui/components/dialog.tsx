import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { closeDialog } from '../state/dialogs.ts';
import { Icon } from './icon.tsx';

interface Props {
  readonly title: string;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}

/** A native modal dialog: Escape closes it, focus stays in it and goes back to where it was. */
export function Dialog({ title, wide = false, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const back = document.activeElement;
    ref.current?.showModal();
    return () => {
      if (back instanceof HTMLElement && back.isConnected) back.focus();
    };
  }, []);
  return (
    <dialog ref={ref} class={wide ? 'wide' : ''} aria-labelledby={id} onClose={closeDialog}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="bare" aria-label="close" onClick={() => ref.current?.close()}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** The buttons at the end of a dialog. */
export function Actions({ children }: { readonly children: ComponentChildren }) {
  return (
    <footer>
      <button type="button" onClick={closeDialog}>
        Cancel
      </button>
      {children}
    </footer>
  );
}
