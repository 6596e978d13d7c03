import { useState } from 'preact/hooks';
import { Icon } from './icon.tsx';

/** Copies, and says so where it was pressed. */
export function CopyButton({ text, label }: { readonly text: string; readonly label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text).catch(() => selectionCopy(text));
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <button type="button" class="copy" aria-label={copied ? 'copied' : `copy ${label}`} onClick={() => void copy()}>
      <Icon name={copied ? 'good' : 'copy'} />
      <span aria-hidden="true">{copied ? 'copied' : 'copy'}</span>
    </button>
  );
}

/** For browsers that deny the clipboard to a page. */
function selectionCopy(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

export function Code({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <div class="code">
      <pre>{text}</pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}
