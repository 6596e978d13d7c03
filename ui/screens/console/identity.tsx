import type { Connection, Exchange } from '../../api/document.ts';
import { Fingerprint, Pairs } from '../../components/certificate.tsx';
import { status } from '../../state/link.ts';
import { useResource } from '../../state/resource.ts';
import { hrefOf } from '../../state/router.ts';
import { sentence } from '../../words/text.ts';

interface Props {
  readonly record: Exchange;
  readonly connection: Connection | null;
}

/** Which certificate, why, and why the others lost: the losers are those of now, marked where the store is another one. */
export function Identity({ record, connection }: Props) {
  const own = connection?.client_certificate ?? null;
  const { profile, certificate } = record.overrides ?? {};
  const match = useResource('match', {
    query: { authority: record.authority, ...(profile && { profile }), ...(certificate && { certificate }) },
  });
  const losers = match.state === 'ready' ? match.answer.certificate.losers : [];
  const loaded = status.value?.store.loaded;
  const hasChanged = loaded !== undefined && Date.parse(loaded) > Date.parse(record.started);
  const name = own?.name ?? record.certificate;
  return (
    <section>
      <h3>Identity</h3>
      <Pairs
        rows={[
          ['Certificate', name === null ? 'none' : <a href={hrefOf('certificates', { entry: name })}>{name}</a>],
          ...(own ? ([['Why', sentence(own.reason)]] as [string, string][]) : []),
          ...(own ? ([['Sent', sentText(own)]] as [string, string][]) : []),
          ...(own?.subject ? ([['Subject', own.subject]] as [string, string][]) : []),
          ...(own?.fingerprint256
            ? ([['SHA-256', <Fingerprint key="fingerprint" value={own.fingerprint256} />]] as [
                string,
                preact.ComponentChildren,
              ][])
            : []),
        ]}
      />
      {losers.length > 0 && (
        <>
          <h4>Why not another one</h4>
          <ul class="losers">
            {losers.map(({ name: loser, why }) => (
              <li key={loser}>
                <a href={hrefOf('certificates', { entry: loser })}>{loser}</a> <span class="muted">{why}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {hasChanged && (
        <p class="hint">The store has changed since this request: the next one may get another certificate.</p>
      )}
    </section>
  );
}

function sentText({ outcome, requested }: Connection['client_certificate']): string {
  switch (outcome) {
    case 'sent':
      return 'Yes: the server asked for it.';
    case 'not_requested':
      return 'No: the server did not ask for a certificate.';
    case 'none_configured':
      return 'No: the server asked for one, and no entry matches.';
    case 'not_sendable':
      return 'No: the server does not take a key of this type.';
    case 'withheld':
      return 'No: the certificate was withheld.';
    default:
      return requested === true ? 'Unknown: the handshake ended before.' : 'No: the handshake ended before.';
  }
}
