import { useEffect } from 'preact/hooks';
import {
  clear,
  filter,
  keptCount,
  paused,
  setPaused,
  shownRows,
  version,
  waiting,
  lost,
} from '../../state/exchanges.ts';
import { hotkeys } from '../../state/hotkeys.ts';
import { params, setParams } from '../../state/router.ts';
import { count } from '../../words/text.ts';
import { Icon } from '../../components/icon.tsx';
import { Drawer } from './drawer.tsx';
import { EmptyConsole } from './empty.tsx';
import { ExchangeList, followNow, following } from './list.tsx';
import { urlOf } from '../../api/client.ts';

export function Console() {
  const id = params.value.get('exchange');
  useEffect(
    () =>
      hotkeys({
        '/': () => document.getElementById('filter')?.focus(),
        p: () => setPaused(!paused.peek()),
        c: clear,
        f: followNow,
        x: () => setParams({ failed: filter.peek().failed ? null : '1' }),
      }),
    [],
  );
  void version.value;
  const rows = shownRows();
  return (
    <main class={`console ${id === null ? '' : 'with-drawer'}`}>
      <h1 class="visually-hidden">Console</h1>
      <div class="list-side">
        <Toolbar shown={rows.length} />
        {rows.length === 0 ? <EmptyConsole filtered={keptCount() > 0} /> : <ExchangeList rows={rows} selected={id} />}
      </div>
      {id !== null && <Drawer key={id} id={id} />}
    </main>
  );
}

function Toolbar({ shown }: { readonly shown: number }) {
  const { failed, host, certificate } = filter.value;
  void version.value;
  const kept = keptCount();
  return (
    <div class="toolbar" role="toolbar" aria-label="Console">
      <div class="search">
        <Icon name="search" />
        <input
          id="filter"
          type="search"
          placeholder="Filter"
          aria-label="Filter exchanges"
          value={params.value.get('q') ?? ''}
          onInput={({ currentTarget }) => setParams({ q: currentTarget.value }, true)}
        />
      </div>
      <button
        type="button"
        class="toggle"
        aria-pressed={failed}
        onClick={() => setParams({ failed: failed ? null : '1' })}
      >
        Failures
      </button>
      {host !== null && <Chip label={`host ${host}`} onRemove={() => setParams({ host: null })} />}
      {certificate !== null && (
        <Chip label={`certificate ${certificate}`} onRemove={() => setParams({ certificate: null })} />
      )}
      <span class="counts muted" role="status">
        {shown === kept ? count(kept, 'exchange') : `${shown} of ${count(kept, 'exchange')}`}
        {lost.value > 0 && ` · ${lost.value} left out`}
      </span>
      <span class="spacer" />
      <button
        type="button"
        class="toggle"
        aria-pressed={paused.value}
        onClick={() => setPaused(!paused.value)}
        title={paused.value ? 'Show the new exchanges' : 'Pause the list'}
      >
        <Icon name={paused.value ? 'play' : 'pause'} />
        <span class="wide-only">
          {paused.value ? `Resume${waiting.value > 0 ? ` (${waiting.value})` : ''}` : 'Pause'}
        </span>
        <span class="narrow-label">{paused.value ? 'Resume' : 'Pause'}</span>
      </button>
      <button
        type="button"
        class="toggle"
        aria-pressed={following.value}
        onClick={followNow}
        title="Keep the newest in view"
      >
        <Icon name="follow" />
        <span class="wide-only">Follow</span>
        <span class="narrow-label">Follow</span>
      </button>
      <button type="button" onClick={clear} title="Empty this list; the daemon remembers the exchanges">
        <Icon name="clear" />
        <span class="wide-only">Clear</span>
        <span class="narrow-label">Clear</span>
      </button>
      <a class="button" href={harHref()} download="mtlsd.har" title="Save what the daemon remembers as an HTTP archive">
        <Icon name="save" />
        <span class="wide-only">HAR</span>
        <span class="narrow-label">Save as HAR</span>
      </a>
    </div>
  );
}

function harHref(): string {
  const { failed, host, certificate } = filter.value;
  return urlOf('exportHar', {
    query: { ...(failed && { failed }), ...(host !== null && { host }), ...(certificate !== null && { certificate }) },
  });
}

function Chip({ label, onRemove }: { readonly label: string; readonly onRemove: () => void }) {
  return (
    <button type="button" class="chip" onClick={onRemove} aria-label={`remove the filter ${label}`}>
      {label} <Icon name="close" />
    </button>
  );
}
