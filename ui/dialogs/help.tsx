import { Dialog } from '../components/dialog.tsx';
import { Check } from '../components/form.tsx';
import { enabled, setEnabled } from '../state/hotkeys.ts';
import { status } from '../state/link.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['1 2 3 4', 'console, certificates, trust, clients'],
  ['/', 'filter the exchanges'],
  ['↑ ↓ or k j', 'move in the list'],
  ['Home End', 'the oldest, the newest'],
  ['Enter', 'open the exchange'],
  ['Esc', 'close the drawer or the dialog'],
  ['x', 'failures only'],
  ['p', 'pause and resume'],
  ['f', 'follow the newest'],
  ['c', 'clear the list'],
  ['?', 'this help'],
];

export function Help() {
  return (
    <Dialog title="Help">
      <table class="keys">
        <caption class="visually-hidden">Keys</caption>
        <tbody>
          {KEYS.map(([keys, what]) => (
            <tr key={keys}>
              <th scope="row">
                <kbd>{keys}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Check label="Single keys are shortcuts" checked={enabled.value} onChange={setEnabled} />
      <p class="hint">
        mtlsd {status.value?.version}. The home folder is <code>{status.value?.home}</code>. Everything that this page
        does, the command line does too: <code>mtlsd --help</code>
      </p>
    </Dialog>
  );
}
