import { Command } from 'commander';
import type { ConnectionRecord, ExchangeRecord } from '../../inspect/records/types.ts';
import { type Api, ApiError } from '../api/api.ts';
import { withDaemon } from '../api/daemon.ts';
import { print, printAnswer, printJson } from '../output.ts';
import { connectionText, exchangeText, fieldsText } from '../words/record.ts';
import type { ExchangeFields } from '../../admin/schemas/records.ts';
import { CliError, usage } from '../errors.ts';

export function showCommand(): Command {
  return new Command('show')
    .description('Everything about one exchange with its connection, or about one connection.')
    .argument('<id>', 'x-… or c-…, as in mtlsd tail, the log and the answer to a failed request')
    .option('--fields', 'the header fields of an exchange too; needs records.fields: redacted or all in mtlsd.yaml')
    .option('--with-secrets', 'with --fields: cookies and credentials too; needs records.fields: all')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd show x-1a2b3c4d-7\n  mtlsd show x-1a2b3c4d-7 --fields')
    .action(async (id: string, _options, command: Command) => {
      const { home, ...options } = command.optsWithGlobals<Options & { home?: string }>();
      if (options.withSecrets && !options.fields) throw usage('--with-secrets is for header fields', 'add --fields');
      await withDaemon(home, (api) => showRecord(api, id, options));
    });
}

interface Options {
  readonly json?: boolean;
  /** Of an exchange. */
  readonly fields?: boolean;
  readonly withSecrets?: boolean;
}

export async function showRecord(api: Api, id: string, options: Options): Promise<void> {
  const { json = false } = options;
  const path = encodeURIComponent(id);
  if (id.startsWith('c-')) {
    const { body } = await api.call<ConnectionRecord>('GET', `/api/v1/connections/${path}`);
    printAnswer(json, body, connectionText);
    return;
  }
  const { body } = await api.call<ExchangeRecord>('GET', `/api/v1/exchanges/${path}`);
  const connection = body.connection === null ? null : await connectionOf(api, body.connection);
  const fields = options.fields ? await fieldsOf(api, path, options.withSecrets ?? false) : null;
  if (json) printJson({ ...body, connection: connection ?? body.connection, ...(fields && { fields }) });
  else print(`${exchangeText(body, connection)}${fields ? fieldsText(fields) : ''}`);
}

async function fieldsOf(api: Api, id: string, withSecrets: boolean): Promise<ExchangeFields> {
  const path = `/api/v1/exchanges/${id}/fields${withSecrets ? '?with_secrets=true' : ''}`;
  return (await api.call<ExchangeFields>('GET', path).catch(asCommandHint)).body;
}

/** The API names a parameter in its next step; here it is an option. */
export function asCommandHint(error: unknown): never {
  if (!(error instanceof ApiError) || error.code !== 'NOT_RECORDED') throw error;
  throw new CliError(
    error.message,
    'set records.fields to all in mtlsd.yaml, restart the daemon and repeat the requests; or leave out --with-secrets',
  );
}

/** null where the daemon no longer has it; the exchange may be kept longer. */
async function connectionOf(api: Api, id: string): Promise<ConnectionRecord | null> {
  try {
    return (await api.call<ConnectionRecord>('GET', `/api/v1/connections/${id}`)).body;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
