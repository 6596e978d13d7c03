import type { Verdict } from '../words/exchange.ts';
import { Icon } from './icon.tsx';

/** A verdict: by sign and word, with colour on top. */
export function Badge({ tone, text }: Verdict) {
  return (
    <span class={`badge ${tone}`} title={text}>
      <Icon name={tone} />
      <span class="clip">{text}</span>
    </span>
  );
}
