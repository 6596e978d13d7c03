import { Command } from 'commander';
import type { RenewalAnswer } from '../../../admin/routes/renewal.ts';
import { withDaemon } from '../../api/daemon.ts';
import { localTime, paint, pairs, printAnswer } from '../../output.ts';
import { entryPath } from './list.ts';

interface Options {
  readonly home?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function renewCommand(): Command {
  return new Command('renew')
    .description('Renews a certificate now, as its entry says under renew. Needs a running daemon.')
    .argument('<name>', 'as in mtlsd cert list')
    .option('--dry-run', 'only look whether it would work: the CA is reached, nothing is issued or written')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd cert renew corp --dry-run\n  mtlsd cert renew corp')
    .action(async (name: string, _options, command: Command) => {
      const { home, dryRun, json } = command.optsWithGlobals<Options>();
      await withDaemon(home, async (api) => {
        const { body } = await api.call<RenewalAnswer>(
          'POST',
          `${entryPath(name)}/renew${dryRun ? '?dry_run=true' : ''}`,
        );
        printAnswer(json, body, () => renewalText(name, body));
      });
    });
}

function renewalText(name: string, { renewed, dry_run, fingerprint_after, not_after, next }: RenewalAnswer): string {
  const head = dry_run
    ? `${paint('green', 'a renewal would work')}; nothing was changed`
    : renewed
      ? `renewed ${paint('bold', name)}`
      : `${paint('bold', name)} was renewed by another program; its files are used`;
  const facts = pairs(
    [
      ['SHA-256', fingerprint_after],
      ['valid until', localTime(not_after)],
      ['renewed next', next === null ? null : localTime(next)],
    ],
    '  ',
  );
  return `${head}\n${facts}`;
}
