import { dismiss, type Toast, tellFailure, toasts } from '../state/toasts.ts';
import { Icon } from './icon.tsx';

export function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <span>{toast.text}</span>
          {toast.action && (
            <button type="button" onClick={() => void act(toast)}>
              {toast.action.label}
            </button>
          )}
          <button type="button" class="bare" aria-label="dismiss" onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

async function act({ id, action }: Toast): Promise<void> {
  dismiss(id);
  await action?.run().catch(tellFailure);
}
