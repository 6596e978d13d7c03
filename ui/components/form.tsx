import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { failureText } from '../state/toasts.ts';

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly children: (attributes: { readonly id: string; readonly 'aria-describedby'?: string }) => ComponentChildren;
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...(hint && { 'aria-describedby': `${id}-hint` }) })}
      {hint && (
        <p id={`${id}-hint`} class="hint">
          {hint}
        </p>
      )}
    </div>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly hint?: string;
  readonly type?: 'text' | 'password';
  readonly required?: boolean;
  readonly placeholder?: string;
  readonly autofocus?: boolean;
}

export function TextField({ label, value, onInput, hint, type = 'text', autofocus = false, ...rest }: TextFieldProps) {
  return (
    <Field label={label} hint={hint}>
      {(attributes) => (
        <input
          {...attributes}
          {...rest}
          {...(type === 'password' ? { type: 'password' as const } : { type: 'text' as const })}
          value={value}
          autofocus={autofocus}
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => onInput(currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface CheckProps {
  readonly label: string;
  readonly checked: boolean;
  readonly onChange: (value: boolean) => void;
}

export function Check({ label, checked, onChange }: CheckProps) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={({ currentTarget }) => onChange(currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly effect: string;
}

interface ChoicesProps {
  readonly legend: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChange: (value: string) => void;
}

/** Radio buttons, each with its effect. */
export function Choices({ legend, value, choices, onChange }: ChoicesProps) {
  const name = useId();
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      {choices.map((choice) => (
        <label key={choice.value} class={choice.value === value ? 'chosen' : ''}>
          <input type="radio" name={name} checked={choice.value === value} onChange={() => onChange(choice.value)} />
          <span>
            <b>{choice.label}</b>
            <span class="hint">{choice.effect}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** Work that a form or button starts: one at a time, its failure beside it. */
export function useTask(): {
  busy: boolean;
  failure: string | null;
  run: (work: () => Promise<void>) => Promise<void>;
} {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const run = async (work: () => Promise<void>): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setFailure(null);
    try {
      await work();
    } catch (error) {
      setFailure(failureText(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, run };
}

export function Failure({ text }: { readonly text: string | null }) {
  return text === null ? null : (
    <p class="notice bad" role="alert">
      {text}
    </p>
  );
}

export const submitting =
  (work: () => unknown) =>
  (event: Event): void => {
    event.preventDefault();
    work();
  };
