import { Command } from 'commander';
import type { ConnectionRecord, ExchangeRecord } from '../../inspect/records/types.ts';
import { homeDirectory } from '../../home.ts';
import { type Api, ApiError, withApi } from '../api/api.ts';
import { daemonApi } from '../api/daemon.ts';
import { print, printJson } from '../output.ts';
import { connectionText, exchangeText } from '../words/record.ts';

export function showCommand(): Command {
  return new Command('show')
    .description('All there is to say of one exchange, with its connection, or of one connection.')
    .argument('<id>', 'x-… or c-…, as in mtlsd tail, the log and the answer to a failed request')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  mtlsd show x-1a2b3c4d-7')
    .action(async (id: string, _options, command: Command) => {
      const { home, json } = command.optsWithGlobals<{ home?: string; json?: boolean }>();
      await withApi(daemonApi(homeDirectory(home, process.env)), (api) => showRecord(api, id, json ?? false));
    });
}

export async function showRecord(api: Api, id: string, json: boolean): Promise<void> {
  const path = encodeURIComponent(id);
  if (id.startsWith('c-')) {
    const { body } = await api.call<ConnectionRecord>('GET', `/api/v1/connections/${path}`);
    if (json) printJson(body);
    else print(connectionText(body));
    return;
  }
  const { body } = await api.call<ExchangeRecord>('GET', `/api/v1/exchanges/${path}`);
  const connection = body.connection === null ? null : await connectionOf(api, body.connection);
  if (json) printJson({ ...body, connection: connection ?? body.connection });
  else print(exchangeText(body, connection));
}

/** It may be forgotten before its exchange is. */
async function connectionOf(api: Api, id: string): Promise<ConnectionRecord | null> {
  try {
    return (await api.call<ConnectionRecord>('GET', `/api/v1/connections/${id}`)).body;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
