import type { Entry } from '../../api/document.ts';
import { Badge } from '../../components/badge.tsx';
import { LifetimeBar } from '../../components/certificate.tsx';
import { DropZone, useDrop } from '../../components/drop-zone.tsx';
import { Icon } from '../../components/icon.tsx';
import { openDialog } from '../../state/dialogs.ts';
import { useResource } from '../../state/resource.ts';
import { hrefOf, params, setParams } from '../../state/router.ts';
import { entryState, shortName } from '../../words/entry.ts';
import { count, localTime, placeText } from '../../words/text.ts';
import { EntryDrawer } from './entry-drawer.tsx';
import { MatchForm } from './match-form.tsx';

export function Certificates() {
  const list = useResource('listCertificates', { query: { limit: 10_000 } });
  const { over, handlers } = useDrop((files) => openDialog({ kind: 'add-certificate', files }));
  const entries = list.state === 'ready' ? list.answer.certificates : [];
  const name = params.value.get('entry');
  const selected = entries.find((entry) => entry.name === name);
  return (
    <main class={`certificates ${selected ? 'with-drawer' : ''} ${over ? 'over' : ''}`} {...handlers}>
      <div class="page-side">
        <div class="page-head">
          <h1>Certificates</h1>
          {list.state === 'ready' && <span class="muted">{count(list.answer.total, 'entry', 'entries')}</span>}
          <span class="spacer" />
          <button type="button" class="primary" onClick={() => openDialog({ kind: 'add-certificate' })}>
            <Icon name="add" /> Add a certificate
          </button>
        </div>
        <MatchForm />
        {list.state === 'failed' && <p class="notice bad">{list.failure.message}</p>}
        {list.state === 'ready' && entries.length === 0 && <Empty />}
        {entries.length > 0 && <Table entries={entries} selected={name} />}
      </div>
      {selected && <EntryDrawer key={selected.name} entry={selected} />}
    </main>
  );
}

function Empty() {
  return (
    <div class="empty">
      <h2>No certificate yet</h2>
      <p>
        Add one with the host that it is for. It is then sent to that host alone, over TLS alone, and only when the host
        asks for it. If several match a host, the closest match is used; among equals the last one added.
      </p>
      <DropZone
        label="Drop PEM or PFX files here, or choose them"
        multiple
        onFiles={(files) => openDialog({ kind: 'add-certificate', files })}
      />
    </div>
  );
}

function Table({ entries, selected }: { readonly entries: readonly Entry[]; readonly selected: string | null }) {
  return (
    <table class="entries">
      <caption class="visually-hidden">Client certificates in the order of certificates.yaml</caption>
      <thead>
        <tr>
          <th scope="col">Host</th>
          <th scope="col">Name</th>
          <th scope="col">Subject</th>
          <th scope="col">Issuer</th>
          <th scope="col">Lifetime</th>
          <th scope="col">Last used</th>
          <th scope="col">State</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Row key={entry.name} entry={entry} isSelected={entry.name === selected} />
        ))}
      </tbody>
    </table>
  );
}

/** A long one breaks before its port rather than within it. */
function Place({ text }: { readonly text: string }) {
  const end = text.lastIndexOf(':');
  return end === -1 ? (
    <>{text}</>
  ) : (
    <>
      {text.slice(0, end)}
      <wbr />
      {text.slice(end)}
    </>
  );
}

function Row({ entry, isSelected }: { readonly entry: Entry; readonly isSelected: boolean }) {
  const { name, profile, facts, last_used: used, shadowed_by: shadow, enabled } = entry;
  const [leaf] = facts;
  return (
    <tr class={`${isSelected ? 'selected' : ''} ${enabled ? '' : 'off'}`} onClick={() => setParams({ entry: name })}>
      <th scope="row" data-label="Host">
        <a href={hrefOf('certificates', { entry: name })} aria-current={isSelected || undefined}>
          <Place text={placeText(entry)} />
        </a>
      </th>
      <td data-label="Name">
        <span class="clip" title={name}>
          {name}
        </span>
        {profile !== null && <span class="tag">{profile}</span>}
      </td>
      <td data-label="Subject" title={leaf?.subject}>
        <span class="clip">{shortName(leaf) || '–'}</span>
      </td>
      <td data-label="Issuer" title={leaf?.issuer}>
        <span class="clip">
          {leaf ? (leaf.self_signed ? 'itself' : (leaf.issuer_name.common_name ?? leaf.issuer)) : '–'}
        </span>
      </td>
      <td data-label="Lifetime">{leaf ? <LifetimeBar facts={leaf} daysLeft={entry.days_left} /> : '–'}</td>
      <td data-label="Last used" class="num">
        {used === null ? <span class="muted">not yet</span> : localTime(used)}
      </td>
      <td data-label="State">
        <Badge {...entryState(entry)} />
        {shadow !== null && <span class="muted small"> by {shadow}</span>}
      </td>
    </tr>
  );
}
