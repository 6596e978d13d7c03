/** Changes of single rules: read, change, write back only if nobody else has changed it meanwhile. */
import { ApiFailure, call } from '../api/client.ts';
import type { Rule } from './dialogs.ts';
import { refresh } from './link.ts';

interface Place {
  readonly host: string;
  readonly port: number | '*';
}

const pathOf = ({ host, port }: Place) => ({ host, port: String(port) });

/** @throws ApiFailure */
export async function changeRule(
  place: Place,
  change: (rule: Omit<Rule, 'host' | 'port'>) => Omit<Rule, 'host' | 'port'>,
): Promise<void> {
  const path = pathOf(place);
  const known = await call('showRule', { path }).catch((error: unknown) => {
    if (error instanceof ApiFailure && error.status === 404) return null;
    throw error;
  });
  const { host: _host, port: _port, ...fields } = known?.answer ?? place;
  await call('putRule', { path, body: change(fields), ifMatch: known?.etag ?? null });
  await refresh();
}

/** @throws ApiFailure */
export async function removeRule(place: Place): Promise<void> {
  await call('removeRule', { path: pathOf(place) });
  await refresh();
}
