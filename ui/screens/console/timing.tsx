import type { Connection, Exchange } from '../../api/document.ts';
import { timingParts } from '../../words/exchange.ts';
import { duration } from '../../words/text.ts';

interface Props {
  readonly record: Exchange;
  readonly connection: Connection | null;
}

/** Where the time went, as one bar and as a list. */
export function Timing({ record, connection }: Props) {
  const parts = timingParts(record, connection);
  const total = Math.max(
    record.ms.total,
    parts.reduce((sum, { ms }) => sum + ms, 0),
  );
  let at = 0;
  return (
    <section>
      <h3>Timing</h3>
      {total > 0 && (
        <svg
          class="timing"
          viewBox="0 0 1000 10"
          preserveAspectRatio="none"
          role="img"
          aria-label={spoken(record, parts)}
        >
          {parts.map(({ name, ms }) => {
            const x = (at / total) * 1000;
            at += ms;
            return (
              <rect
                key={name}
                class={`part-${name.toLowerCase()}`}
                x={x}
                width={Math.max(2, (ms / total) * 1000)}
                height="10"
              />
            );
          })}
        </svg>
      )}
      <ul class="parts">
        {parts.map(({ name, ms }) => (
          <li key={name}>
            <span class={`swatch part-${name.toLowerCase()}`} />
            {name} <span class="num muted">{duration(ms)}</span>
          </li>
        ))}
        <li>
          <b>total</b> <span class="num">{duration(record.ms.total)}</span>
        </li>
      </ul>
      {record.reused && <p class="hint">The connection was open already, so there was no set-up.</p>}
    </section>
  );
}

function spoken(record: Exchange, parts: readonly { readonly name: string; readonly ms: number }[]): string {
  return `${duration(record.ms.total)} in all: ${parts.map(({ name, ms }) => `${name} ${duration(ms)}`).join(', ')}`;
}
