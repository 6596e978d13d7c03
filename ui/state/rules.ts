/** Changes one rule: reads it, changes it, and writes it only if it has not changed since. */
import { call } from '../api/client.ts';
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
  const { answer: all } = await call('showVerification');
  const isKnown = all.rules?.some(
    ({ host, port }) => host.toLowerCase() === place.host && (port ?? 443) === place.port,
  );
  const known = isKnown ? await call('showRule', { path }) : null;
  const { host: _host, port: _port, ...fields } = known?.answer ?? place;
  // A rule for the same host in another spelling is not overwritten: the daemon then says that it is there.
  await call('putRule', { path, body: change(fields), ...(known ? { ifMatch: known.etag } : { ifAbsent: true }) });
  await refresh();
}

/** @throws ApiFailure */
export async function removeRule(place: Place): Promise<void> {
  await call('removeRule', { path: pathOf(place) });
  await refresh();
}
