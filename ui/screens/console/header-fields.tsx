import { useState } from 'preact/hooks';
import type { ExchangeFields } from '../../api/document.ts';
import { useResource } from '../../state/resource.ts';
import { count } from '../../words/text.ts';

/** Header fields without secret values, where the settings keep them; asked for when they are opened. */
export function HeaderFields({ id }: { readonly id: string }) {
  const [isOpen, setOpen] = useState(false);
  const asked = useResource('showExchangeFields', isOpen ? { path: { id } } : null);
  return (
    <section>
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <h3>Header fields</h3>
        </summary>
        {asked.state === 'ready' && <Heads fields={asked.answer} />}
        {asked.state === 'failed' && <p class="muted">The daemon no longer remembers the exchange.</p>}
      </details>
    </section>
  );
}

function Heads({ fields: { kept, request, response } }: { readonly fields: ExchangeFields }) {
  if (request === null)
    return (
      <p class="muted">
        {kept === 'none'
          ? 'They are not kept. To keep them without secret values, set records.fields to redacted in mtlsd.yaml and restart the daemon.'
          : 'They were not kept for this exchange.'}
      </p>
    );
  return (
    <div class="code">
      {/* It scrolls, so the keyboard has to reach it. */}
      <pre tabIndex={0} role="region" aria-label="header fields">
        {[...linesOf('>', request), ...linesOf('<', response)].join('\n')}
      </pre>
    </div>
  );
}

function linesOf(mark: string, head: ExchangeFields['request']): string[] {
  if (head === null) return [];
  const left = head.omitted > 0 ? [`${mark} ${count(head.omitted, 'field')} left out: more than 16 KiB`] : [];
  return [...head.fields.map(({ name, value }) => `${mark} ${name}: ${value}`), ...left];
}
