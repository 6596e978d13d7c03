import { useEffect, useState } from 'preact/hooks';
import { call } from '../api/client.ts';
import type { Entry, Inspection } from '../api/document.ts';
import { Dialog } from '../components/dialog.tsx';
import { DropZone, readFiles } from '../components/drop-zone.tsx';
import { Failure, TextField, useTask } from '../components/form.tsx';
import { contentOf, type Dropped, type Group, groupFiles } from '../files/group.ts';
import { KIND_NAMES } from '../files/kind.ts';
import { closeDialog } from '../state/dialogs.ts';
import { refresh } from '../state/link.ts';
import { tell } from '../state/toasts.ts';
import { count, listed } from '../words/text.ts';
import { splitPlace } from '../words/place.ts';
import { ByPath, type PathFields, pathContent, NO_PATHS } from './by-path.tsx';
import { Candidate, type CandidateState } from './candidate.tsx';

interface Props {
  readonly host?: string;
  readonly port?: number;
  readonly files?: readonly File[];
  /** The entry whose files are replaced; null for new entries. */
  readonly replaces: Entry | null;
}

const placeOf = (host: string | undefined, port: number | undefined): string =>
  host === undefined
    ? ''
    : port === undefined || port === 443
      ? host
      : `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Files in, entries out: what they hold is shown before anything is saved. */
export function AddCertificates({ host, port, files = [], replaces }: Props) {
  const [place, setPlace] = useState(placeOf(host, port));
  const [profile, setProfile] = useState('');
  const [candidates, setCandidates] = useState<readonly CandidateState[]>([]);
  const [left, setLeft] = useState<readonly Dropped[]>([]);
  const [dropped, setDropped] = useState<readonly Dropped[]>([]);
  const [paths, setPaths] = useState<PathFields>(NO_PATHS);
  const [byPath, setByPath] = useState(false);
  const { busy, failure, run } = useTask();

  const take = (more: readonly File[]): Promise<void> =>
    run(async () => {
      const all = replaces ? await readFiles(more) : [...dropped, ...(await readFiles(more))];
      const grouped = await groupFiles(all, goTogether);
      const known = new Map(candidates.map((candidate) => [candidate.group.main, candidate]));
      const next = await Promise.all(
        grouped.groups.map(async (group) => {
          const before = known.get(group.main);
          return before && before.group.key === group.key ? before : inspect(group, '');
        }),
      );
      setDropped(all);
      setLeft(grouped.left);
      setCandidates(replaces ? next.slice(0, 1) : next);
    });
  useEffect(() => {
    if (files.length > 0) void take(files);
  }, []);

  const unlock = (candidate: CandidateState, passphrase: string): Promise<void> =>
    run(async () => {
      const next = await inspect(candidate.group, passphrase);
      setCandidates((all) => all.map((each) => (each === candidate ? next : each)));
    });
  const ready = byPath ? paths.cert !== '' || paths.pfx !== '' : candidates.length > 0;
  const blocked = !byPath && candidates.some(({ inspection }) => !inspection.usable);

  const save = (): Promise<void> =>
    run(async () => {
      const contents = byPath
        ? [pathContent(paths)]
        : candidates.map(({ group, passphrase }) => ({
            ...contentOf(group),
            ...(passphrase !== '' && { passphrase }),
          }));
      const names: string[] = [];
      for (const content of contents) {
        if (replaces) names.push(await replace(replaces, content));
        else {
          const body = { ...splitPlace(place), ...(profile !== '' && { profile }), ...content };
          names.push((await call('addCertificate', { body })).answer.name);
          // What is saved stays saved where a later one fails.
          setCandidates((all) => all.slice(1));
        }
      }
      await refresh();
      closeDialog();
      tell(
        replaces ? `${replaces.name} has new files.` : `${listed(names)} ${names.length === 1 ? 'is' : 'are'} added.`,
      );
    });

  const shared = candidates.length > 1 && profile === '';
  return (
    <Dialog title={replaces ? `Replace the files of ${replaces.name}` : 'Add a certificate'} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !blocked) void save();
        }}
      >
        {!replaces && (
          <div class="two">
            <TextField
              label="Host"
              value={place}
              onInput={setPlace}
              required
              autofocus
              hint="api.example, api.example:8443, *.corp.example, or HOST:* for any port"
            />
            <TextField
              label="Profile (optional)"
              value={profile}
              onInput={setProfile}
              hint="Only for clients that ask for it"
            />
          </div>
        )}
        {byPath ? (
          <ByPath fields={paths} onChange={setPaths} />
        ) : (
          <DropZone
            label={replaces ? 'Drop the new files here, or choose them' : 'Drop PEM or PFX files here, or choose them'}
            multiple
            onFiles={(more) => void take(more)}
          />
        )}
        <button type="button" class="link-button" onClick={() => setByPath(!byPath)}>
          {byPath ? 'Upload the files instead' : 'Name the files by their path instead'}
        </button>
        {!byPath &&
          candidates.map((candidate) => (
            <Candidate
              key={candidate.group.main.name}
              candidate={candidate}
              busy={busy}
              onPassphrase={(...given) => void unlock(...given)}
            />
          ))}
        {!byPath &&
          left.map(({ name, kind }) => (
            <p key={name} class="notice warn">
              <b>{name}</b> ({KIND_NAMES[kind]}) {leftText(kind)}
            </p>
          ))}
        {shared && (
          <p class="notice warn">
            {count(candidates.length, 'certificate')} for one host: the last one added is used, and shadows the others.
          </p>
        )}
        <Failure text={failure} />
        <footer>
          <button type="button" onClick={closeDialog}>
            Cancel
          </button>
          <button class="primary" disabled={busy || !ready || blocked}>
            {replaces ? 'Replace' : candidates.length > 1 && !byPath ? `Add ${candidates.length} certificates` : 'Add'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

async function inspect(group: Group, passphrase: string): Promise<CandidateState> {
  const { answer } = await call('inspectCertificate', {
    body: { ...contentOf(group), ...(passphrase !== '' && { passphrase }) },
  });
  return { group, passphrase, inspection: answer };
}

async function goTogether(certificate: Dropped, key: Dropped): Promise<boolean> {
  const { answer } = await call('inspectCertificate', { body: contentOf({ main: certificate, key }) });
  // A key that is locked may be the one: the passphrase tells later.
  return answer.usable || needsPassphrase(answer);
}

const needsPassphrase = ({ problems }: Inspection): boolean =>
  problems.some(({ code }) => code === 'PASSPHRASE_MISSING');

/** A passphrase of the old files is not one of the new ones. */
async function replace(entry: Entry, content: object): Promise<string> {
  const path = { name: entry.name };
  const { etag } = await call('showCertificate', { path });
  const passphrase = 'passphrase' in content || entry.passphrase === null ? {} : { passphrase: null };
  await call('editCertificate', { path, body: { ...passphrase, ...content }, ifMatch: etag });
  return entry.name;
}

function leftText(kind: Dropped['kind']): string {
  if (kind === 'unknown') return 'is neither PEM nor PKCS#12 nor DER.';
  return kind === 'certificate'
    ? 'has no key among these files. Add its key too.'
    : 'belongs to no certificate among these files.';
}
