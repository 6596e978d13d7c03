import { useState } from 'preact/hooks';
import { call } from '../../api/client.ts';
import type { Entry, Probe } from '../../api/document.ts';
import { Facts, Pairs, ProblemNote } from '../../components/certificate.tsx';
import { Failure, submitting, useTask } from '../../components/form.tsx';
import { Icon } from '../../components/icon.tsx';
import { ProbeResult } from '../../components/probe.tsx';
import { openDialog } from '../../state/dialogs.ts';
import { useEffect } from 'preact/hooks';
import { hotkeys } from '../../state/hotkeys.ts';
import { refresh } from '../../state/link.ts';
import { hrefOf, setParams } from '../../state/router.ts';
import { tell } from '../../state/toasts.ts';
import { entryState, filesText, passphraseText, renewalText, shortName } from '../../words/entry.ts';
import { authorityOf } from '../../words/place.ts';
import { codeWords } from '../../words/exchange.ts';
import { localTime, placeText, sentence } from '../../words/text.ts';

const close = (): void => setParams({ entry: null });

export function EntryDrawer({ entry }: { readonly entry: Entry }) {
  const { busy, failure, run } = useTask();
  useEffect(() => hotkeys({ Escape: close }), []);
  const [leaf, ...above] = entry.facts;
  const { tone } = entryState(entry);
  return (
    <aside class="drawer" aria-label={`Certificate ${entry.name}`}>
      <header>
        <h2>{entry.name}</h2>
        <button type="button" class="bare" aria-label="close the drawer" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="scroll" tabIndex={0} role="region" aria-label="Details of the certificate">
        <p class={`headline ${tone}`}>
          <Icon name={tone} />
          <span>{stateSentence(entry)}</span>
        </p>
        <div class="buttons">
          <button type="button" onClick={() => openDialog({ kind: 'edit-certificate', entry })}>
            Edit
          </button>
          <button type="button" onClick={() => openDialog({ kind: 'replace-certificate', entry })}>
            Replace the files
          </button>
          <button type="button" disabled={busy} onClick={() => void run(() => setEnabled(entry))}>
            {entry.enabled ? 'Disable' : 'Enable'}
          </button>
          <button type="button" class="danger" disabled={busy} onClick={() => void run(() => remove(entry))}>
            Remove
          </button>
        </div>
        <Failure text={failure} />
        <Test entry={entry} />
        {entry.problems.map((problem) => (
          <ProblemNote key={problem.code} problem={problem} tone={problem.severity === 'error' ? 'bad' : 'warn'} />
        ))}
        <section>
          <h3>Entry</h3>
          <Pairs rows={entryRows(entry)} />
        </section>
        {leaf && (
          <section>
            <h3>Certificate</h3>
            <Facts facts={leaf} daysLeft={entry.days_left} />
          </section>
        )}
        {above.length > 0 && (
          <section>
            <h3>Chain</h3>
            {above.map((facts) => (
              <details key={facts.fingerprint256}>
                <summary>{shortName(facts)}</summary>
                <Facts facts={facts} />
              </details>
            ))}
          </section>
        )}
      </div>
    </aside>
  );
}

function stateSentence(entry: Entry): string {
  const { enabled, usable, shadowed_by: shadow, problems } = entry;
  const place = placeText(entry);
  if (!enabled) return 'Disabled: the entry is kept and never used.';
  if (!usable) return `Unusable: requests for ${place} fail with 502 until this is corrected.`;
  if (shadow !== null) return `Shadowed: ${shadow} wins wherever this entry matches.`;
  if (problems[0]) return `Sent to ${place}, with a warning: ${codeWords(problems[0].code)}.`;
  return `Sent to ${place} when it asks for a certificate${entry.profile === null ? '' : `, for clients with the profile ${entry.profile}`}.`;
}

function entryRows(entry: Entry): [string, preact.ComponentChildren][] {
  const renewal = renewalText(entry);
  return [
    ['For', `${placeText(entry)}${entry.profile === null ? '' : `, profile ${entry.profile}`}`],
    ['Files', filesText(entry)],
    ['Passphrase', passphraseText(entry.passphrase)],
    ['Last used', entry.last_used === null ? 'not since the daemon started' : localTime(entry.last_used)],
    ...(entry.withhold_unverified ? ([['Sent', 'only to servers that pass verification']] as [string, string][]) : []),
    ['Other sites', crossSiteText(entry.cross_site)],
    ...(renewal === null ? [] : ([['Renewed', renewal]] as [string, string][])),
    ['Place', `line ${entry.line} of certificates.yaml`],
    [
      'Exchanges',
      <a key="exchanges" href={hrefOf('console', { certificate: entry.name })}>
        show those with this certificate
      </a>,
    ],
  ];
}

function crossSiteText(setting: Entry['cross_site']): string {
  if (setting === 'withhold') return 'their pages are answered without the certificate';
  if (setting === 'refuse') return 'requests of their pages are refused';
  return setting === 'allow'
    ? 'their pages may use the certificate'
    : `only ${setting.join(', ')} may use the certificate`;
}

async function setEnabled({ name, enabled }: Entry): Promise<void> {
  await call('editCertificate', { path: { name }, body: { enabled: !enabled } });
  await refresh();
  tell(`${name} is ${enabled ? 'disabled' : 'enabled'}.`);
}

async function remove({ name }: Entry): Promise<void> {
  await call('removeCertificate', { path: { name } });
  close();
  await refresh();
  tell(`${name} is removed.`, {
    label: 'Undo',
    run: async () => {
      await call('restoreCertificate', { path: { name } });
      await refresh();
      tell(`${name} is back.`);
    },
  });
}

/** A handshake with this certificate; a pattern needs a host of its own to be tried at. */
function Test({ entry }: { readonly entry: Entry }) {
  const isPattern = entry.host.includes('*') || entry.port === '*';
  const [url, setUrl] = useState(
    isPattern ? '' : authorityOf(`${entry.host.includes(':') ? `[${entry.host}]` : entry.host}:${entry.port}`),
  );
  const [probe, setProbe] = useState<Probe | null>(null);
  const { busy, failure, run } = useTask();
  const test = (): Promise<void> =>
    run(async () => {
      setProbe(null);
      const body = {
        authority: authorityOf(url),
        certificate: entry.name,
        ciphers: false,
        ...(entry.profile !== null && { profile: entry.profile }),
      };
      setProbe((await call('probe', { body })).answer);
    });
  return (
    <section>
      <form class="inline" onSubmit={submitting(test)}>
        <input
          aria-label="Host to test the certificate at"
          value={url}
          required
          placeholder={`a host of ${placeText(entry)}`}
          spellcheck={false}
          onInput={({ currentTarget }) => setUrl(currentTarget.value)}
        />
        <button disabled={busy || !entry.enabled}>{busy ? 'Testing' : 'Test'}</button>
      </form>
      <Failure text={failure === null ? null : sentence(failure)} />
      {probe && <ProbeResult probe={probe} />}
    </section>
  );
}
