import { Command } from 'commander';
import type { LocalCaAnswer } from '../../../admin/routes/ca.ts';
import { homeDirectory } from '../../../home.ts';
import { type Api, withApi } from '../../api/api.ts';
import { daemonApi } from '../../api/daemon.ts';
import { usage } from '../../errors.ts';
import { localTime, print, printJson } from '../../output.ts';

interface Options {
  readonly home?: string;
  readonly overlap: string;
  readonly finish?: boolean;
  readonly cancel?: boolean;
  readonly json?: boolean;
}

export function rotateCommand(): Command {
  return new Command('rotate')
    .description(
      'Makes a new CA, for clients to trust beside the present one. The present one signs on until the overlap is over; then the new one takes over. Needs a daemon.',
    )
    .option('--overlap <duration>', 'for how long the present CA signs on: 30m, 12h, 30d', '30d')
    .option('--finish', 'let the new CA take over now')
    .option('--cancel', 'drop the new CA')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd ca rotate --overlap 14d\n  mtlsd ca install\n  mtlsd doctor                says which clients do not trust the new CA\n  mtlsd ca rotate --finish',
    )
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (options.finish && options.cancel) throw usage('--finish and --cancel exclude each other', 'give one of them');
      const { ca, text } = await withApi(daemonApi(homeDirectory(options.home, process.env)), (api) =>
        options.finish ? finish(api) : options.cancel ? cancel(api) : begin(api, options.overlap),
      );
      if (options.json) printJson(ca);
      else print(text);
    });
}

interface Done {
  readonly ca: LocalCaAnswer | null;
  readonly text: string;
}

async function begin(api: Api, overlap: string): Promise<Done> {
  const { body: ca } = await api.call<LocalCaAnswer>('POST', '/api/v1/ca/rotation', { body: { overlap } });
  const { subject, fingerprint256, takes_over } = ca.rotation as NonNullable<LocalCaAnswer['rotation']>;
  const text = `made ${subject}
  SHA-256 ${fingerprint256}
  takes over at ${localTime(takes_over)}; until then clients have to trust both CAs
next: mtlsd ca install where the present one is installed; start programs of mtlsd run and mtlsd env again; mtlsd doctor
`;
  return { ca, text };
}

async function finish(api: Api): Promise<Done> {
  const { body: ca } = await api.call<LocalCaAnswer>('POST', '/api/v1/ca/rotation/finish');
  const text = `${ca.subject} signs from now on
next: mtlsd ca install takes the earlier CA out of the trust stores of this machine
`;
  return { ca, text };
}

async function cancel(api: Api): Promise<Done> {
  await api.call('DELETE', '/api/v1/ca/rotation');
  return { ca: null, text: 'the new CA is dropped; the present one signs on\n' };
}
