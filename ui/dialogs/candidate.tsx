import { useState } from 'preact/hooks';
import type { Inspection } from '../api/document.ts';
import { LifetimeBar, ProblemNote } from '../components/certificate.tsx';
import { TextField } from '../components/form.tsx';
import type { Group } from '../files/group.ts';
import { KIND_NAMES } from '../files/kind.ts';
import { shortName } from '../words/entry.ts';

export interface CandidateState {
  readonly group: Group;
  readonly passphrase: string;
  readonly inspection: Inspection;
}

interface Props {
  readonly candidate: CandidateState;
  readonly busy: boolean;
  readonly onPassphrase: (candidate: CandidateState, passphrase: string) => void;
}

const LOCKED = new Set(['PASSPHRASE_MISSING', 'PASSPHRASE_WRONG']);

/** One entry to be: its files, what is in them, and what is wrong with them. */
export function Candidate({ candidate, busy, onPassphrase }: Props) {
  const { group, inspection } = candidate;
  const [passphrase, setPassphrase] = useState(candidate.passphrase);
  const locked = inspection.problems.some(({ code }) => LOCKED.has(code));
  const wrong = inspection.problems.some(({ code }) => code === 'PASSPHRASE_WRONG');
  const [leaf] = inspection.facts;
  return (
    <div class="candidate">
      <p class="files">
        <b>{group.main.name}</b> <span class="muted">{KIND_NAMES[group.main.kind]}</span>
        {group.key && (
          <>
            {' '}
            and <b>{group.key.name}</b> <span class="muted">{KIND_NAMES[group.key.kind]}</span>
          </>
        )}
      </p>
      {leaf && (
        <p>
          {shortName(leaf)}, issued by {leaf.self_signed ? 'itself' : leaf.issuer}.{' '}
          <LifetimeBar facts={leaf} daysLeft={inspection.days_left} />
        </p>
      )}
      {locked && (
        <div class="unlock">
          <TextField
            label="Passphrase"
            type="password"
            value={passphrase}
            onInput={setPassphrase}
            autofocus
            hint={wrong ? 'This passphrase does not open the file.' : 'The file is locked.'}
          />
          <button
            type="button"
            disabled={busy || passphrase === ''}
            onClick={() => onPassphrase(candidate, passphrase)}
          >
            Unlock
          </button>
        </div>
      )}
      {inspection.problems
        .filter(({ code }) => !LOCKED.has(code))
        .map((problem) => (
          <ProblemNote key={problem.code} problem={problem} tone={problem.severity === 'error' ? 'bad' : 'warn'} />
        ))}
    </div>
  );
}
