import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, submitting, TextField, useTask } from '../components/form.tsx';
import { signIn } from '../state/link.ts';

/** The form takes the code or the token: some browsers can't open the file that `mtlsd ui` writes. */
export function SignIn() {
  const ref = useRef<HTMLDialogElement>(null);
  const [secret, setSecret] = useState('');
  const { busy, failure, run } = useTask();
  useEffect(() => ref.current?.showModal(), []);
  return (
    <dialog ref={ref} class="sign-in" aria-labelledby="sign-in" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submitting(() => run(() => signIn(secret.trim())))}>
        <h1 id="sign-in">Sign in to mtlsd</h1>
        <p>
          Run <code>mtlsd ui</code> in a terminal. It opens this page signed in, and prints a code to type here. The
          code is valid once, for 60 seconds.
        </p>
        <TextField
          label="Code, or the token of admin.token"
          type="password"
          value={secret}
          onInput={setSecret}
          required
          autofocus
        />
        <Failure text={failure} />
        <footer>
          <button class="primary" disabled={busy}>
            Sign in
          </button>
        </footer>
      </form>
    </dialog>
  );
}
