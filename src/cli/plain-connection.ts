/** TCP for requests in the clear, for a command that has no daemon: as the daemon of the home would open it. */
import type { ConnectPlain } from '../certs/revocation/download.ts';

/** Long enough for a slow network; a longer wait is not worth it. */
const TIMEOUT_MS = 10_000;

/** By way of `upstream_proxy`, and to where `connect_to` leads. What is wrong with the settings is said by each connection. */
export function plainConnection(home: string): ConnectPlain {
  let opened: Promise<ConnectPlain> | null = null;
  return async (authority) => {
    opened ??= openerOf(home);
    return (await opened)(authority);
  };
}

async function openerOf(home: string): Promise<ConnectPlain> {
  // Most commands have no use for them.
  const { loadSettings } = await import('../settings/load.ts');
  const { chooseProxies, openPlainThrough } = await import('../upstream-proxies.ts');
  const { network } = await loadSettings({ home }, process.env);
  const { connectTo } = network;
  const proxyFor = await chooseProxies(network, () => {});
  return openPlainThrough(proxyFor, { connectTo, timeoutMs: TIMEOUT_MS, ownPorts: new Set() });
}
