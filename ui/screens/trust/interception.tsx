import { useState } from 'preact/hooks';
import { call } from '../../api/client.ts';
import type { Operations } from '../../api/document.ts';
import { Choices, Failure, Field, submitting, useTask } from '../../components/form.tsx';
import { refresh } from '../../state/link.ts';
import { useResource } from '../../state/resource.ts';
import { tell } from '../../state/toasts.ts';
import { INTERCEPTION_EFFECT, UNMATCHED_EFFECT } from '../../words/rule.ts';

type Fields = Operations['showInterception']['answer'];

export function Interception() {
  const shown = useResource('showInterception', {});
  if (shown.state !== 'ready') return null;
  return <Form key={shown.etag} fields={shown.answer} etag={shown.etag} />;
}

function Form({ fields, etag }: { readonly fields: Fields; readonly etag: string | null }) {
  const { mode = 'all', unmatched = 'intercept', passthrough = [] } = fields;
  const [hosts, setHosts] = useState(passthrough.join('\n'));
  const { busy, failure, run } = useTask();
  const save = (change: Fields): Promise<void> =>
    run(async () => {
      await call('replaceInterception', { body: { ...fields, ...change }, ifMatch: etag });
      await refresh();
      tell('Interception is changed.');
    });
  return (
    <section class="card">
      <h2>Interception</h2>
      <Choices
        legend="Which hosts"
        value={mode}
        onChange={(value) => void save({ mode: value as 'all' })}
        choices={[
          { value: 'all', label: 'all', effect: INTERCEPTION_EFFECT.all },
          { value: 'listed', label: 'listed', effect: INTERCEPTION_EFFECT.listed },
        ]}
      />
      {mode === 'all' && (
        <Choices
          legend="Hosts without a certificate"
          value={unmatched}
          onChange={(value) => void save({ unmatched: value as 'intercept' })}
          choices={[
            { value: 'intercept', label: 'intercept', effect: UNMATCHED_EFFECT.intercept },
            { value: 'passthrough', label: 'passthrough', effect: UNMATCHED_EFFECT.passthrough },
            { value: 'refuse', label: 'refuse', effect: UNMATCHED_EFFECT.refuse },
          ]}
        />
      )}
      <form onSubmit={submitting(() => save({ passthrough: hosts.split(/\s+/).filter(Boolean) }))}>
        <Field
          label="Hosts that always pass through untouched"
          hint="One a line: a name, *.suffix or an address, with :PORT where one port is meant. For programs that pin their server's certificate. Nothing of them is recorded but the connection."
        >
          {(attributes) => (
            <textarea
              {...attributes}
              rows={Math.min(8, Math.max(2, hosts.split('\n').length))}
              value={hosts}
              spellcheck={false}
              onInput={({ currentTarget }) => setHosts(currentTarget.value)}
            />
          )}
        </Field>
        <Failure text={failure} />
        <button disabled={busy || hosts === passthrough.join('\n')}>Save the list</button>
      </form>
    </section>
  );
}
