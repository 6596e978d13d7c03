/** What the daemon remembers that an installation is to be judged by. */
import type { ExchangeRecord } from '../../inspect/records/types.ts';
import { OWN_NAME } from '../../core/own-name.ts';
import type { Api } from '../api/api.ts';
import { count, localTime } from '../output.ts';
import { type CheckResult, ok, warning } from './check.ts';

/** What failed before that may be repaired by now. */
const RECENT_MS = 60 * 60 * 1000;

/** The commonest first failure: a client that uses the proxy and does not trust the local CA. */
export async function checkTrustOfClients(api: Api): Promise<CheckResult[]> {
  if (!api.daemon) return [];
  const { exchanges } = (
    await api.call<{ exchanges: readonly ExchangeRecord[] }>('GET', '/api/v1/exchanges?failed=true&limit=1000')
  ).body;
  const failed = exchanges.filter(
    ({ error, started, authority }) =>
      error?.code === 'CLIENT_TLS_FAILED' &&
      Date.now() - Date.parse(started) < RECENT_MS &&
      !authority.startsWith(`${OWN_NAME}:`),
  );
  const [last] = failed;
  if (!last?.error) return [ok('clients', 'in the last hour none failed to trust the local CA')];
  const times = failed.length === 1 ? 'once' : count(failed.length, 'time');
  return [
    warning(
      'clients',
      `${last.error.message} (${times} in the last hour, last from ${last.client} at ${localTime(last.started)})`,
      'start that client with mtlsd run, or: mtlsd ca install',
    ),
  ];
}
