import { Field, TextField } from '../components/form.tsx';

export interface PathFields {
  readonly cert: string;
  readonly key: string;
  readonly pfx: string;
  readonly source: '' | 'text' | 'env' | 'file';
  readonly passphrase: string;
}

export const NO_PATHS: PathFields = { cert: '', key: '', pfx: '', source: '', passphrase: '' };

interface Props {
  readonly fields: PathFields;
  readonly onChange: (fields: PathFields) => void;
}

const SOURCE_LABELS = {
  text: 'Passphrase',
  env: "Variable of the daemon's environment",
  file: 'File that holds it',
} as const;

/** For files that stay where they are, since something else renews them. */
export function ByPath({ fields, onChange }: Props) {
  const set = (change: Partial<PathFields>): void => onChange({ ...fields, ...change });
  const { source } = fields;
  return (
    <>
      <p class="hint">
        Paths on the machine of the daemon, absolute or relative to certificates.yaml. The files are watched.
      </p>
      <TextField label="PFX file" value={fields.pfx} onInput={(pfx) => set({ pfx })} />
      <div class="two">
        <TextField label="Or certificate file" value={fields.cert} onInput={(cert) => set({ cert })} />
        <TextField
          label="Key file"
          value={fields.key}
          onInput={(key) => set({ key })}
          hint="Empty if the certificate file holds it"
        />
      </div>
      <div class="two">
        <Field label="Passphrase from">
          {(attributes) => (
            <select
              {...attributes}
              value={source}
              onChange={({ currentTarget }) => set({ source: currentTarget.value as 'env' })}
            >
              <option value="">none</option>
              <option value="text">typed here, kept by mtlsd</option>
              <option value="env">a variable</option>
              <option value="file">a file</option>
            </select>
          )}
        </Field>
        {source !== '' && (
          <TextField
            label={SOURCE_LABELS[source]}
            type={source === 'text' ? 'password' : 'text'}
            value={fields.passphrase}
            onInput={(passphrase) => set({ passphrase })}
          />
        )}
      </div>
    </>
  );
}

/** The fields as the API takes them. */
export function pathContent({ cert, key, pfx, source, passphrase }: PathFields) {
  const secret = source === 'text' ? passphrase : source === 'env' ? { env: passphrase } : { file: passphrase };
  return {
    ...(pfx !== '' ? { pfx } : { cert, ...(key !== '' && { key }) }),
    ...(source !== '' && { passphrase: secret }),
  };
}
