import { useEffect, useRef } from 'preact/hooks';
import { ChainTree, Pairs, ProblemNote } from '../../components/certificate.tsx';
import { CopyButton } from '../../components/copy.tsx';
import { Icon } from '../../components/icon.tsx';
import type { Connection, Exchange } from '../../api/document.ts';
import { find } from '../../state/exchanges.ts';
import { hotkeys } from '../../state/hotkeys.ts';
import { useResource } from '../../state/resource.ts';
import { hrefOf, setParams } from '../../state/router.ts';
import { verdictOf, whatHappened } from '../../words/exchange.ts';
import { hostOf } from '../../words/filter.ts';
import { bytes, duration, localTime, shortAuthority } from '../../words/text.ts';
import { revocationLines } from '../../words/revocation.ts';
import { HeaderFields } from './header-fields.tsx';
import { Identity } from './identity.tsx';
import { Steps } from './steps.tsx';
import { Timing } from './timing.tsx';

/** Everything about one exchange: what happened first. */
export function Drawer({ id }: { readonly id: string }) {
  const ref = useRef<HTMLElement>(null);
  const known = find(id);
  const asked = useResource('showExchange', known ? null : { path: { id } });
  const record = known ?? (asked.state === 'ready' ? asked.answer : null);
  const connectionId = record?.connection ?? null;
  const connection = useResource('showConnection', connectionId === null ? null : { path: { id: connectionId } });
  useEffect(() => hotkeys({ Escape: close }), []);
  return (
    <aside class="drawer" aria-label="Exchange" ref={ref}>
      {record === null ? (
        <Missing failed={asked.state === 'failed'} />
      ) : (
        <Content
          record={record}
          connection={connection.state === 'ready' ? connection.answer : null}
          isGone={connection.state === 'failed'}
        />
      )}
    </aside>
  );
}

function close(): void {
  setParams({ exchange: null });
  document.querySelector<HTMLElement>('.grid')?.focus();
}

function CloseButton() {
  return (
    <button type="button" class="bare" aria-label="close the drawer" onClick={close}>
      <Icon name="close" />
    </button>
  );
}

function Missing({ failed }: { readonly failed: boolean }) {
  return (
    <header>
      <h2>{failed ? 'No longer remembered' : 'Loading'}</h2>
      <CloseButton />
      {failed && <p>The daemon remembers the recent exchanges only. The log has them all.</p>}
    </header>
  );
}

interface Props {
  readonly record: Exchange;
  readonly connection: Connection | null;
  /** The daemon no longer remembers the connection. */
  readonly isGone: boolean;
}

function Content({ record, connection, isGone }: Props) {
  const { tone } = verdictOf(record);
  const raw = JSON.stringify({ exchange: record, connection }, null, 2);
  return (
    <>
      <header>
        <h2 title={`${record.method} ${record.authority}${record.path}`}>
          {record.method} {shortAuthority(record.authority)}
          {record.path}
        </h2>
        <CloseButton />
      </header>
      <div class="scroll" tabIndex={0} role="region" aria-label="Details of the exchange">
        <p class={`headline ${tone}`}>
          <Icon name={tone} />
          <span>{whatHappened(record, connection)}</span>
        </p>
        <Steps record={record} connection={connection} />
        <section>
          <h3>Request</h3>
          <Pairs rows={requestRows(record)} />
        </section>
        <Identity record={record} connection={connection} />
        <Server connection={connection} isGone={isGone} />
        <Timing record={record} connection={connection} />
        <HeaderFields id={record.exchange} />
        <section>
          <details>
            <summary>
              <h3>Raw</h3>
            </summary>
            <div class="code">
              {/* It scrolls, so the keyboard has to reach it. */}
              <pre tabIndex={0} role="region" aria-label="the record as JSON">
                {raw}
              </pre>
              <CopyButton text={raw} label="the record" />
            </div>
          </details>
        </section>
      </div>
    </>
  );
}

function requestRows(record: Exchange): [string, preact.ComponentChildren][] {
  const { started, client, status, ms, request_bytes: sent, response_bytes: received, overrides, mismatch } = record;
  const asked = Object.entries(overrides ?? {}).map(([what, value]) => `${what} ${value}`);
  const differs = Object.entries(mismatch ?? {}).map(([what, value]) => `${what} ${value}`);
  const host = hostOf(record.authority);
  return [
    ['Time', `${localTime(started)}, ${duration(ms.total)}`],
    ['Client', client],
    ['Request', `HTTP/${record.http}, ${bytes(sent)}`],
    ['Response', status === null ? 'none' : `${status}, ${bytes(received)}`],
    ...(asked.length > 0 ? ([['Asked for', asked.join(', ')]] as [string, string][]) : []),
    ...(differs.length > 0
      ? ([['Differs', `${differs.join(', ')} (recorded, never followed)`]] as [string, string][])
      : []),
    [
      'Only',
      <>
        <a href={hrefOf('console', { host })}>this host</a>
        {record.certificate !== null && (
          <>
            {' · '}
            <a href={hrefOf('console', { certificate: record.certificate })}>this certificate</a>
          </>
        )}
      </>,
    ],
  ];
}

function Server({ connection, isGone }: { readonly connection: Connection | null; readonly isGone: boolean }) {
  return (
    <section>
      <h3>Server</h3>
      {connection ? (
        <>
          <Pairs rows={serverRows(connection)} />
          {connection.verification.problems
            .filter(({ depth }) => depth === null || depth >= connection.server.chain.length)
            .map((problem) => (
              <ProblemNote key={problem.code} problem={problem} tone="bad" />
            ))}
          <ChainTree chain={connection.server.chain} problems={connection.verification.problems} />
        </>
      ) : (
        <p class="muted">
          {isGone ? 'The daemon no longer remembers the connection.' : 'There is no TLS connection to show.'}
        </p>
      )}
    </section>
  );
}

function serverRows({ address, via, tls, verification, error }: Connection): [string, preact.ComponentChildren][] {
  const { mode, rule, override, authorized, allowed } = verification;
  return [
    [
      'Address',
      `${address ? `${address.ip} port ${address.port}` : 'none'}${via === null ? '' : `, by way of ${via}`}`,
    ],
    [
      'TLS',
      tls
        ? `${tls.protocol}, ${tls.cipher_standard_name}${tls.alpn === null ? '' : `, ${tls.alpn}`}`
        : 'not established',
    ],
    [
      'Mode',
      `${mode}${rule === null ? '' : `, by the rule for ${rule}`}${override ? ', asked for by the request' : ''}`,
    ],
    ['Verified', tls ? (authorized ? 'yes' : 'no') : 'not reached'],
    ...revocationLines(verification.revocation).map((line): [string, string] => ['Revocation', line]),
    ...(allowed.length > 0 ? ([['Allowed', allowed.join(', ')]] as [string, string][]) : []),
    ...(error?.alert
      ? ([['Alert', `${error.alert.number} ${error.alert.name}: ${error.alert.meaning}`]] as [string, string][])
      : []),
  ];
}
