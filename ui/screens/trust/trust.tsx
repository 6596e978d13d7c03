import { call } from '../../api/client.ts';
import type { Anchor, Operations } from '../../api/document.ts';
import { Facts, LifetimeBar } from '../../components/certificate.tsx';
import { Check, Choices, Failure, useTask } from '../../components/form.tsx';
import { Icon } from '../../components/icon.tsx';
import { openDialog, type Rule } from '../../state/dialogs.ts';
import { refresh, verification } from '../../state/link.ts';
import { useResource } from '../../state/resource.ts';
import { changeRule, removeRule } from '../../state/rules.ts';
import { tell } from '../../state/toasts.ts';
import { shortName } from '../../words/entry.ts';
import { MODE_EFFECT, ruleEffect } from '../../words/rule.ts';
import { listed, placeText } from '../../words/text.ts';
import { Interception } from './interception.tsx';

export function Trust() {
  return (
    <main class="trust">
      <div class="page-side">
        <div class="page-head">
          <h1>Trust and verification</h1>
        </div>
        <Mode />
        <Rules />
        <Anchors />
        <Interception />
      </div>
    </main>
  );
}

function Mode() {
  const { busy, failure, run } = useTask();
  const mode = verification.value?.mode ?? 'enforce';
  const choose = (value: string): void => {
    if (value === 'report') openDialog({ kind: 'report-all' });
    else if (!busy) void run(enforce);
  };
  return (
    <section class="card">
      <Choices
        legend="Verification of servers"
        value={mode}
        onChange={choose}
        choices={[
          { value: 'enforce', label: 'enforce', effect: MODE_EFFECT.enforce },
          { value: 'report', label: 'report', effect: MODE_EFFECT.report },
        ]}
      />
      <Failure text={failure} />
    </section>
  );
}

async function enforce(): Promise<void> {
  const { answer, etag } = await call('showVerification');
  await call('replaceVerification', { body: { ...answer, mode: 'enforce' }, ifMatch: etag });
  await refresh();
  tell('Verification is now enforced.');
}

function Rules() {
  const rules = verification.value?.rules ?? [];
  return (
    <section class="card">
      <div class="card-head">
        <h2>Rules</h2>
        <span class="spacer" />
        <button type="button" onClick={() => openDialog({ kind: 'rule', rule: null })}>
          <Icon name="add" /> Add a rule
        </button>
      </div>
      {rules.length === 0 ? (
        <p class="muted">No rules: every server is verified in the same way. A rule makes an exception for one host.</p>
      ) : (
        <ul class="rows-plain">
          {rules.map((rule, index) => (
            <RuleRow key={index} rule={rule} />
          ))}
        </ul>
      )}
    </section>
  );
}

function RuleRow({ rule }: { readonly rule: Rule }) {
  const { busy, failure, run } = useTask();
  const place = { host: rule.host, port: rule.port ?? 443 } as const;
  const title = placeText(place);
  const remove = (): Promise<void> =>
    run(async () => {
      await removeRule(place);
      const { host: _host, port: _port, ...fields } = rule;
      tell(`The rule for ${title} is removed.`, { label: 'Undo', run: () => changeRule(place, () => fields) });
    });
  return (
    <li>
      <div>
        <b class="wrap">{title}</b>
        <p>{ruleEffect(rule)}</p>
        <Failure text={failure} />
      </div>
      <button
        type="button"
        aria-label={`edit the rule for ${title}`}
        onClick={() => openDialog({ kind: 'rule', rule })}
      >
        Edit
      </button>
      <button type="button" aria-label={`remove the rule for ${title}`} disabled={busy} onClick={() => void remove()}>
        Remove
      </button>
    </li>
  );
}

type TrustFields = Operations['showTrust']['answer'];

function Anchors() {
  const trust = useResource('showTrust', {});
  const anchors = useResource('listAnchors', {});
  const { failure, run } = useTask();
  const change = (next: TrustFields, done: string): Promise<void> =>
    run(async () => {
      await call('replaceTrust', { body: next, ifMatch: trust.state === 'ready' ? trust.etag : null });
      await refresh();
      tell(done);
    });
  if (trust.state !== 'ready') return null;
  const fields = trust.answer;
  const list = anchors.state === 'ready' ? anchors.answer.anchors : [];
  return (
    <section class="card">
      <div class="card-head">
        <h2>Trusted CAs</h2>
        <span class="spacer" />
        <button type="button" onClick={() => openDialog({ kind: 'add-ca' })}>
          <Icon name="add" /> Add a CA
        </button>
      </div>
      <Check
        label="The CAs of this system"
        checked={fields.system !== false}
        onChange={(system) =>
          void change(
            { ...fields, system },
            system ? 'The CAs of the system are trusted.' : 'The CAs of the system are not trusted.',
          )
        }
      />
      <p class="hint indent">
        {fields.system === false
          ? 'Only the CAs below are trusted.'
          : 'A server with a certificate of a public CA is trusted, as in curl.'}
      </p>
      <Failure text={failure} />
      <ul class="rows-plain">
        {list.map((anchor) => (
          <AnchorRow
            key={anchor.file}
            anchor={anchor}
            onRemove={() =>
              void change(
                { ...fields, ca: (fields.ca ?? []).filter((file) => file !== anchor.file) },
                `${shortName(anchor.certificates[0]) || anchor.file} is no longer trusted for every host.`,
              )
            }
          />
        ))}
      </ul>
      {list.length === 0 && <p class="muted">No other CA. Add the one of your company, or of a test environment.</p>}
    </section>
  );
}

function AnchorRow({ anchor, onRemove }: { readonly anchor: Anchor; readonly onRemove: () => void }) {
  const { file, certificates, problem, everywhere, rules } = anchor;
  const scope = [...(everywhere ? ['every host'] : []), ...rules];
  const title = shortName(certificates[0]) || file;
  return (
    <li>
      <div>
        <b class="wrap">{title}</b>
        <p>
          Can vouch for {listed(scope)}. {certificates[0] && <LifetimeBar facts={certificates[0]} />}
        </p>
        {problem !== null && <p class="notice bad">{problem}</p>}
        {certificates.map((facts) => (
          <details key={facts.fingerprint256}>
            <summary>{certificates.length === 1 ? 'Details' : shortName(facts)}</summary>
            <Facts facts={facts} />
          </details>
        ))}
        <p class="hint wrap">{file.startsWith('files/') ? 'kept by mtlsd' : file}</p>
      </div>
      {everywhere && (
        <button type="button" aria-label={`remove ${title}`} onClick={onRemove}>
          Remove
        </button>
      )}
    </li>
  );
}
