import { useState } from 'preact/hooks';
import type { Connection, Exchange, Probe } from '../../api/document.ts';
import { call } from '../../api/client.ts';
import { Failure, useTask } from '../../components/form.tsx';
import { ProbeResult } from '../../components/probe.tsx';
import { openDialog } from '../../state/dialogs.ts';
import { go } from '../../state/router.ts';
import { nextSteps, type Step } from '../../words/exchange.ts';
import { hostOf } from '../../words/filter.ts';
import { pageHint } from '../../words/hint.ts';

interface Props {
  readonly record: Exchange;
  readonly connection: Connection | null;
}

/** What to do next, as buttons where it can be one; the first is the likeliest. */
export function Steps({ record, connection }: Props) {
  const steps = nextSteps(record, connection);
  const { busy, failure, run } = useTask();
  const [probe, setProbe] = useState<Probe | null>(null);
  const { authority } = record;
  const startProbe = (): Promise<void> =>
    run(async () => setProbe((await call('probe', { body: { authority, ciphers: false } })).answer));
  const act = (step: Step): void => {
    switch (step.kind) {
      case 'add-certificate':
        return openDialog(step);
      case 'trust-ca':
        return openDialog({ kind: 'trust-ca', authority, candidate: step.candidate });
      case 'report-host':
        return openDialog({ kind: 'report-host', authority });
      case 'open-entry':
        return go('certificates', { entry: step.name });
      default:
        void startProbe();
    }
  };
  const isFailure = record.error !== null;
  return (
    <section class="steps">
      {/* A button says it better. */}
      {record.error && steps.every(({ kind }) => kind === 'probe') && <p class="hint">{pageHint(record.error.hint)}</p>}
      <div class="buttons">
        {steps.map((step, index) => (
          <button
            key={step.kind}
            type="button"
            class={index === 0 && isFailure && step.kind !== 'probe' ? 'primary' : ''}
            disabled={step.kind === 'probe' && busy}
            onClick={() => act(step)}
          >
            {labelOf(step, record, busy)}
          </button>
        ))}
      </div>
      <Failure text={failure} />
      {probe && <ProbeResult probe={probe} />}
    </section>
  );
}

function labelOf(step: Step, record: Exchange, busy: boolean): string {
  switch (step.kind) {
    case 'add-certificate':
      return `Add a certificate for ${hostOf(record.authority)}`;
    case 'trust-ca':
      return 'Trust this CA';
    case 'report-host':
      return 'Report instead of enforce for this host';
    case 'open-entry':
      return `Open ${step.name}`;
    default:
      return busy ? 'Trying' : 'Try again (probe)';
  }
}
