import { useState } from 'preact/hooks';
import { Actions, Dialog } from '../components/dialog.tsx';
import { Check, Choices, Failure, Field, submitting, TextField, useTask } from '../components/form.tsx';
import { closeDialog, type Rule } from '../state/dialogs.ts';
import { changeRule } from '../state/rules.ts';
import { tell } from '../state/toasts.ts';
import { splitPlace } from '../words/place.ts';
import { MODE_EFFECT } from '../words/rule.ts';
import { placeText } from '../words/text.ts';

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** A rule of one host: new, or changed. */
export function RuleDialog({ rule }: { readonly rule: Rule | null }) {
  const [place, setPlace] = useState('');
  const [mode, setMode] = useState<string>(rule?.mode ?? (rule ? '' : 'report'));
  const [allow, setAllow] = useState((rule?.allow ?? []).join(' '));
  const [pins, setPins] = useState((rule?.pins ?? []).join(' '));
  const [name, setName] = useState(rule?.server_name ?? '');
  const [min, setMin] = useState<string>(rule?.min_version ?? '');
  const [system, setSystem] = useState(rule?.trust?.system !== false);
  const [ca, setCa] = useState((rule?.trust?.ca ?? []).join('\n'));
  const { busy, failure, run } = useTask();
  const save = (): Promise<void> =>
    run(async () => {
      const at = rule ? { host: rule.host, port: rule.port ?? 443 } : splitPlace(place);
      const files = ca
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean);
      const hasTrust = files.length > 0 || !system;
      await changeRule(at, ({ max_version: max, revocation, trust }) => ({
        ...(max && { max_version: max }),
        ...(mode !== '' && { mode: mode as 'enforce' | 'report' }),
        ...(words(allow).length > 0 && { allow: words(allow) }),
        ...(words(pins).length > 0 && { pins: words(pins) }),
        ...(name !== '' && { server_name: name }),
        ...(min !== '' && { min_version: min as 'TLSv1.2' }),
        ...(revocation && { revocation }),
        ...((hasTrust || trust?.crl) && { trust: { ...trust, system, ca: files } }),
      }));
      closeDialog();
      tell(`The rule for ${placeText(at)} is saved.`);
    });
  return (
    <Dialog title={rule ? `Rule for ${placeText(rule)}` : 'Add a rule'} wide>
      <form onSubmit={submitting(save)}>
        {!rule && (
          <TextField
            label="Host"
            value={place}
            onInput={setPlace}
            required
            autofocus
            hint="api.example, api.example:8443, *.corp.example, or HOST:* for any port"
          />
        )}
        <Choices
          legend="Mode"
          value={mode}
          onChange={setMode}
          choices={[
            { value: '', label: 'as for every host', effect: 'Only the rest of this rule differs.' },
            { value: 'enforce', label: 'enforce', effect: MODE_EFFECT.enforce },
            { value: 'report', label: 'report', effect: MODE_EFFECT.report },
          ]}
        />
        <details open={allow !== '' || pins !== '' || name !== '' || min !== '' || ca !== '' || !system}>
          <summary>More</summary>
          <TextField
            label="Allow these problems"
            value={allow}
            onInput={setAllow}
            hint="CERT_HAS_EXPIRED, for example; all others are enforced"
          />
          <TextField
            label="Public keys, one of which is required"
            value={pins}
            onInput={setPins}
            hint="sha256/BASE64="
          />
          <TextField label="Name to verify instead of the host" value={name} onInput={setName} />
          <Field label="Oldest TLS version">
            {(attributes) => (
              <select {...attributes} value={min} onChange={({ currentTarget }) => setMin(currentTarget.value)}>
                <option value="">TLSv1.2 (default)</option>
                <option>TLSv1.3</option>
                <option>TLSv1.2</option>
                <option>TLSv1.1</option>
                <option>TLSv1</option>
              </select>
            )}
          </Field>
          <Check label="Trust the CAs of the system for this host" checked={system} onChange={setSystem} />
          <Field
            label="CA files for this host"
            hint="One path a line. With any, only these and the system's are trusted for this host."
          >
            {(attributes) => (
              <textarea
                {...attributes}
                rows={2}
                value={ca}
                onInput={({ currentTarget }) => setCa(currentTarget.value)}
              />
            )}
          </Field>
        </details>
        <Failure text={failure} />
        <Actions>
          <button class="primary" disabled={busy}>
            Save the rule
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}
