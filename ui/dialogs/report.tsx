import { call } from '../api/client.ts';
import { Actions, Dialog } from '../components/dialog.tsx';
import { Failure, submitting, useTask } from '../components/form.tsx';
import { closeDialog } from '../state/dialogs.ts';
import { refresh } from '../state/link.ts';
import { tell } from '../state/toasts.ts';
import { hostOf, portOf } from '../words/filter.ts';
import { shortAuthority } from '../words/text.ts';
import { changeRule } from '../state/rules.ts';

/** Lets one host through; the rest stays enforced. */
export function ReportHost({ authority }: { readonly authority: string }) {
  const { busy, failure, run } = useTask();
  const host = shortAuthority(authority);
  const save = (): Promise<void> =>
    run(async () => {
      await changeRule({ host: hostOf(authority), port: portOf(authority) }, (rule) => ({ ...rule, mode: 'report' }));
      closeDialog();
      tell(`${host} is reported on and no longer refused.`);
    });
  return (
    <Dialog title="Report instead of enforce">
      <form onSubmit={submitting(save)}>
        <p>
          Requests to <b>{host}</b> will be sent even if its certificate fails verification. Every problem is still
          recorded.
        </p>
        <p class="notice warn">
          Someone on the network path can then pose as this server, and receives what your clients send to it.
        </p>
        <Failure text={failure} />
        <Actions>
          <button class="primary" disabled={busy}>
            Report for {host}
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}

export function ReportAll() {
  const { busy, failure, run } = useTask();
  const save = (): Promise<void> =>
    run(async () => {
      const { answer, etag } = await call('showVerification');
      await call('replaceVerification', { body: { ...answer, mode: 'report' }, ifMatch: etag });
      await refresh();
      closeDialog();
      tell('Verification is now report.');
    });
  return (
    <Dialog title="Turn verification off for every server">
      <form onSubmit={submitting(save)}>
        <p>
          Requests will be sent to every server, even if its certificate fails verification. To let one server through,
          add a rule for its host instead.
        </p>
        <p class="notice bad">Anyone on the network path can then pose as any server.</p>
        <Failure text={failure} />
        <Actions>
          <button class="danger" disabled={busy}>
            Report for every server
          </button>
        </Actions>
      </form>
    </Dialog>
  );
}
