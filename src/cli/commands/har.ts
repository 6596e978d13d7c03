import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { nativeCode } from '../../core/errors.ts';
import type { Har } from '../../inspect/records/har.ts';
import { withDaemon } from '../api/daemon.ts';
import { CliError } from '../errors.ts';
import { count, print } from '../output.ts';
import { asCommandHint } from './show.ts';

interface Options {
  readonly home?: string;
  readonly failed?: boolean;
  readonly host?: string;
  readonly certificate?: string;
  readonly out?: string;
  readonly withSecrets?: boolean;
}

export function harCommand(): Command {
  return new Command('har')
    .description(
      'The exchanges that the daemon remembers as an HTTP archive (HAR 1.2), for the network panel of a browser. It has header fields where records.fields in mtlsd.yaml is redacted or all, and never bodies.',
    )
    .option('--failed', 'only those with an error or a status of 500 and above')
    .option('--host <host>', 'only those with this authority, with or without its port')
    .option('--certificate <name>', 'only those that this certificate was chosen for')
    .option('--out <file>', 'write it there, readable by you alone; standard output when left out')
    .option('--with-secrets', 'keep cookies and credentials; needs records.fields: all')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd har --out mtlsd.har\n  mtlsd har --host api.partner.example | jq .log.entries',
    )
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withDaemon(options.home, async (api) => {
        const query = new URLSearchParams({
          ...(options.failed && { failed: 'true' }),
          ...(options.host !== undefined && { host: options.host }),
          ...(options.certificate !== undefined && { certificate: options.certificate }),
          ...(options.withSecrets && { with_secrets: 'true' }),
        });
        const path = `/api/v1/export.har?${query.toString()}`;
        const { body } = await api.call<Har>('GET', path).catch(asCommandHint);
        const text = `${JSON.stringify(body, null, 2)}\n`;
        if (options.out === undefined) return void process.stdout.write(text);
        await write(options.out, text);
        const { entries, comment } = body.log;
        print(`wrote ${options.out}: ${count(entries.length, 'exchange')}; ${comment}`);
      });
    });
}

/** Only a new file: others may be able to read an existing one. */
async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const code = nativeCode(error);
    const why = code === 'EEXIST' ? 'is there already' : `can't be written: ${code}`;
    throw new CliError(`${file} ${why}`, 'give another name with --out FILE');
  }
}
