import { useState } from 'preact/hooks';
import { call } from '../api/client.ts';
import type { Entry } from '../api/document.ts';
import { Actions, Dialog } from '../components/dialog.tsx';
import { Check, Failure, Field, submitting, TextField, useTask } from '../components/form.tsx';
import { closeDialog } from '../state/dialogs.ts';
import { refresh } from '../state/link.ts';
import { setParams } from '../state/router.ts';
import { tell } from '../state/toasts.ts';

const CROSS_SITE = {
  withhold: 'send their requests without the certificate',
  refuse: 'refuse their requests',
  allow: 'send the certificate',
} as const;

/** Everything about an entry but its files. */
export function EditCertificate({ entry }: { readonly entry: Entry }) {
  const [name, setName] = useState(entry.name);
  const [host, setHost] = useState(entry.host);
  const [port, setPort] = useState(String(entry.port));
  const [profile, setProfile] = useState(entry.profile ?? '');
  const [withhold, setWithhold] = useState(entry.withhold_unverified);
  const [crossSite, setCrossSite] = useState(entry.cross_site);
  const { busy, failure, run } = useTask();
  const save = (): Promise<void> =>
    run(async () => {
      // The current content: an edit by hand at the same time is not lost.
      const { etag } = await call('showCertificate', { path: { name: entry.name } });
      const changes = {
        ...(name !== entry.name && { name }),
        ...(host !== entry.host && { host }),
        ...(port !== String(entry.port) && { port: port === '*' ? ('*' as const) : Number(port) }),
        ...(profile !== (entry.profile ?? '') && { profile: profile === '' ? null : profile }),
        ...(withhold !== entry.withhold_unverified && { withhold_unverified: withhold }),
        ...(crossSite !== entry.cross_site && { cross_site: crossSite }),
      };
      if (Object.keys(changes).length > 0) {
        await call('editCertificate', { path: { name: entry.name }, body: changes, ifMatch: etag });
        await refresh();
        setParams({ entry: name }, true);
        tell(`${name} is saved.`);
      }
      closeDialog();
    });
  return (
    <Dialog title={`Edit ${entry.name}`}>
      <form onSubmit={submitting(save)}>
        <div class="two">
          <TextField
            label="Host"
            value={host}
            onInput={setHost}
            required
            autofocus
            hint="A name, *.suffix, * or an address"
          />
          <TextField label="Port" value={port} onInput={setPort} required hint="A number, or * for any" />
        </div>
        <TextField label="Name" value={name} onInput={setName} required />
        <TextField
          label="Profile"
          value={profile}
          onInput={setProfile}
          hint="Only clients that ask for this profile get the certificate. Empty: all clients."
        />
        <Check label="Send it only to servers that pass verification" checked={withhold} onChange={setWithhold} />
        {typeof crossSite === 'string' && (
          <Field label="For web pages of other sites">
            {(attributes) => (
              <select
                {...attributes}
                value={crossSite}
                onChange={({ currentTarget }) => setCrossSite(currentTarget.value as 'withhold')}
              >
                {Object.entries(CROSS_SITE).map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        <Failure text={failure} />
        <Actions>
          <button class="primary" disabled={busy}>
            Save
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}
