import { useState } from 'preact/hooks';
import { call } from '../api/client.ts';
import type { CertificateFacts } from '../api/document.ts';
import { Breakable, Facts } from '../components/certificate.tsx';
import { Actions, Dialog } from '../components/dialog.tsx';
import { DropZone, readFiles } from '../components/drop-zone.tsx';
import { Choices, Failure, submitting, useTask } from '../components/form.tsx';
import { toPem } from '../files/kind.ts';
import { closeDialog } from '../state/dialogs.ts';
import { refresh } from '../state/link.ts';
import { tell } from '../state/toasts.ts';
import { shortName } from '../words/entry.ts';
import { hostOf, portOf } from '../words/filter.ts';
import { shortAuthority } from '../words/text.ts';

interface TrustCaProps {
  readonly authority: string;
  readonly candidate: CertificateFacts | null;
}

/** The fingerprint first: a user who trusts without comparing trusts any server that answered. */
export function TrustCa({ authority, candidate }: TrustCaProps) {
  const [scope, setScope] = useState('host');
  const [file, setFile] = useState<File | null>(null);
  const { busy, failure, run } = useTask();
  const host = shortAuthority(authority);
  const save = (): Promise<void> =>
    run(async () => {
      const source = file
        ? { cert_pem: await pemOf(file) }
        : { authority, fingerprint256: candidate?.fingerprint256 ?? '' };
      const place = scope === 'host' ? { host: hostOf(authority), port: portOf(authority) } : {};
      const { answer } = await call('addAnchor', { body: { ...source, ...place } });
      await refresh();
      closeDialog();
      tell(`${shortName(answer.certificates[0])} is trusted ${scope === 'host' ? `for ${host}` : 'for every host'}.`);
    });
  const kind = candidate?.ca === false ? 'certificate' : 'CA';
  return (
    <Dialog title={`Trust this ${kind}`} wide>
      <form onSubmit={submitting(save)}>
        {candidate && !file ? (
          <>
            <p>
              {host} showed the {kind} below. Compare its SHA-256 fingerprint with one that you got from the operator of
              the server, by another way than this connection.
            </p>
            <p class="big-fingerprint">
              <code>
                <Breakable value={candidate.fingerprint256} />
              </code>
            </p>
            <Facts facts={candidate} withFingerprint={false} />
          </>
        ) : (
          !file && (
            <p>
              {host} did not send the certificate of its CA. Get the CA's file from the operator of the server and add
              it here.
            </p>
          )
        )}
        {file && (
          <p>
            The CA is read from <b>{file.name}</b>.
          </p>
        )}
        <DropZone
          label={candidate ? 'Or take the CA from a file' : 'Choose the CA file'}
          compact
          onFiles={([first]) => setFile(first ?? null)}
        />
        <Choices
          legend="Trust it"
          value={scope}
          onChange={setScope}
          choices={[
            { value: 'host', label: `for ${host} alone`, effect: 'Other servers are verified as before.' },
            { value: 'all', label: 'for every host', effect: 'This CA can then vouch for any server.' },
          ]}
        />
        <Failure text={failure} />
        <Actions>
          <button class="primary" disabled={busy || (!candidate && !file)}>
            {candidate && !file ? 'The fingerprint is right: trust it' : 'Trust it'}
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}

/** A CA for every host, from its file. */
export function AddCa() {
  const [file, setFile] = useState<File | null>(null);
  const { busy, failure, run } = useTask();
  const save = (): Promise<void> =>
    run(async () => {
      if (!file) throw new Error('choose a file first');
      const { answer } = await call('addAnchor', { body: { cert_pem: await pemOf(file) } });
      await refresh();
      closeDialog();
      tell(`${shortName(answer.certificates[0])} is trusted for every host.`);
    });
  return (
    <Dialog title="Add a CA">
      <form onSubmit={submitting(save)}>
        <p>Servers with a certificate of this CA are trusted. The file may be PEM or DER.</p>
        <DropZone
          label={file ? file.name : 'Drop the CA file here, or choose it'}
          onFiles={([first]) => setFile(first ?? null)}
        />
        <Failure text={failure} />
        <Actions>
          <button class="primary" disabled={busy || !file}>
            Trust it for every host
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}

async function pemOf(file: File): Promise<string> {
  const [read] = await readFiles([file]);
  return read ? toPem(read.bytes, 'certificate') : '';
}
