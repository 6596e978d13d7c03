import { Command } from 'commander';
import type { EntryAnswer } from '../../../admin/schemas/certificate.ts';
import { withAnyApi } from '../../api/any.ts';
import type { Api } from '../../api/api.ts';
import { print, printAnswer, printJson } from '../../output.ts';
import { entryTable, entryText } from '../../words/entry.ts';

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function listCommand(): Command {
  return new Command('list')
    .alias('ls')
    .description('All certificates, in the order of the store.')
    .option('-q, --quiet', 'names only')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      "\nExamples:\n  mtlsd cert list\n  mtlsd cert list --json | jq -r '.[] | select(.days_left < 30).name'",
    )
    .action(async (_options, command: Command) => {
      const { home, json, quiet } = command.optsWithGlobals<Options>();
      await withAnyApi(home, async (api) => {
        const entries = await allEntries(api);
        if (json) printJson(entries);
        else if (quiet) print(entries.map(({ name }) => `${name}\n`).join(''));
        else if (entries.length === 0) print('There is no certificate yet. Add one: mtlsd cert add HOST --pfx FILE');
        else print(entryTable(entries));
      });
    });
}

async function allEntries(api: Api): Promise<EntryAnswer[]> {
  const entries: EntryAnswer[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: { body: { certificates: EntryAnswer[]; next: string | null } } = await api.call(
      'GET',
      `/api/v1/certificates${next === '' ? '' : `?after=${next}`}`,
    );
    entries.push(...page.body.certificates);
    next = page.body.next;
  }
  return entries;
}

export function showCommand(): Command {
  return new Command('show')
    .description('One certificate: what its files hold, what is wrong with them, when it was last used.')
    .argument('<name>', 'as in mtlsd cert list')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  mtlsd cert show partner-api')
    .action(async (name: string, _options, command: Command) => {
      const { home, json } = command.optsWithGlobals<Options>();
      await withAnyApi(home, async (api) => {
        const { body } = await api.call<EntryAnswer>('GET', entryPath(name));
        printAnswer(json, body, entryText);
      });
    });
}

export const entryPath = (name: string): string => `/api/v1/certificates/${encodeURIComponent(name)}`;
