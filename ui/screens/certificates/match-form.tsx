import { useState } from 'preact/hooks';
import type { Match, Probe } from '../../api/document.ts';
import { call } from '../../api/client.ts';
import { Failure, submitting, useTask } from '../../components/form.tsx';
import { Icon } from '../../components/icon.tsx';
import { ProbeResult } from '../../components/probe.tsx';
import { hrefOf } from '../../state/router.ts';
import { matchVerdict } from '../../words/match.ts';
import { authorityOf } from '../../words/place.ts';

/** "Which certificate would this URL get?", and a handshake with it. */
export function MatchForm() {
  const [url, setUrl] = useState('');
  const [match, setMatch] = useState<Match | null>(null);
  const [probe, setProbe] = useState<Probe | null>(null);
  const { busy, failure, run } = useTask();
  const ask = (): Promise<void> =>
    run(async () => {
      setProbe(null);
      setMatch((await call('match', { query: { authority: authorityOf(url) } })).answer);
    });
  const test = (): Promise<void> =>
    run(async () => setProbe((await call('probe', { body: { authority: authorityOf(url), ciphers: false } })).answer));
  return (
    <section class="match" aria-label="Which certificate would this URL get?">
      <form onSubmit={submitting(ask)}>
        <label for="match-url">Which certificate would this URL get?</label>
        <div class="inline">
          <input
            id="match-url"
            value={url}
            placeholder="https://api.example/"
            required
            spellcheck={false}
            autocomplete="off"
            onInput={({ currentTarget }) => setUrl(currentTarget.value)}
          />
          <button disabled={busy}>Look</button>
          <button type="button" disabled={busy || url.trim() === ''} onClick={() => void test()}>
            Test
          </button>
        </div>
      </form>
      <Failure text={failure} />
      {match && <MatchResult match={match} />}
      {probe && <ProbeResult probe={probe} />}
    </section>
  );
}

function MatchResult({ match }: { readonly match: Match }) {
  const { tone, text } = matchVerdict(match);
  const { losers } = match.certificate;
  return (
    <div role="status">
      <p class={`headline ${tone}`}>
        <Icon name={tone} />
        <span>{text}</span>
      </p>
      {losers.length > 0 && (
        <ul class="losers">
          {losers.map(({ name, why }) => (
            <li key={name}>
              not <a href={hrefOf('certificates', { entry: name })}>{name}</a>: <span class="muted">{why}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
