import { Code } from '../../components/copy.tsx';
import { openDialog } from '../../state/dialogs.ts';
import { cleared } from '../../state/exchanges.ts';
import { status } from '../../state/link.ts';
import { hrefOf, setParams } from '../../state/router.ts';

/** What to do where there is nothing to see. */
export function EmptyConsole({ filtered }: { readonly filtered: boolean }) {
  const now = status.value;
  if (filtered)
    return (
      <div class="empty">
        <h2>Nothing fits the filter</h2>
        <p>The exchanges are there, but none has all of these words.</p>
        <button type="button" onClick={() => setParams({ q: null, failed: null, host: null, certificate: null })}>
          Show all exchanges
        </button>
      </div>
    );
  const proxy = now?.proxy[0] ?? '127.0.0.1:8740';
  const ca = now?.ca.path ?? 'ca.pem';
  return (
    <div class="empty">
      <h2>Waiting for the {cleared.value ? 'next' : 'first'} request</h2>
      <p>Send one through the proxy. It appears here with the certificate that was sent and what was found.</p>
      <Code text={`curl --proxy http://${proxy} --cacert ${shellWord(ca)} https://example.com/`} label="the command" />
      <p class="inline">
        {now?.store.certificates === 0 && (
          <button type="button" class="primary" onClick={() => openDialog({ kind: 'add-certificate' })}>
            Add the first certificate
          </button>
        )}
        <a href={hrefOf('clients')}>Set up other clients</a>
      </p>
    </div>
  );
}

const shellWord = (path: string): string =>
  /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
