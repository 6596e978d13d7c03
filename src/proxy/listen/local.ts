/**
 * Local ports of one origin each, for programs that know no proxies. Anybody who reaches the port acts with the certificate, so
 * web pages are kept out: one that has the browser send requests here shows in Host (DNS rebinding) or in Sec-Fetch-Site.
 */
import type { Socket } from 'node:net';
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { type Authority, hostField, isLoopback, parseAuthority } from '../../core/authority.ts';
import { MtlsdError, policyRefused } from '../../core/errors.ts';
import type { RequestHead } from '../../http1/reader.ts';
import { fieldValue } from '../exchange/fields.ts';
import type { ClientConnection } from '../client/stream.ts';
import { decide } from '../../certs/decide.ts';
import { requireUsable, routeOf, stillDecided } from '../upstream/route.ts';
import { tunnel, type TunnelContext } from './tunnel.ts';

export interface LocalPort {
  readonly listen: { readonly host: string; readonly port: number };
  /** `tls` is any protocol on TLS: bytes in, bytes out. */
  readonly scheme: 'https' | 'tls';
  readonly authority: Authority;
  readonly profile: string | undefined;
}

/** What an HTTP connection to a local port is: as if CONNECT had named its origin. */
export function localConnection({ authority, profile }: LocalPort, client: string): ClientConnection {
  return {
    authority,
    scheme: 'https',
    client,
    profile,
    serverName: null,
    // The client knows the origin as 127.0.0.1:9001; the origin knows itself by its own name.
    host: hostField(authority, 'https'),
  };
}

/** @throws MtlsdError POLICY_REFUSED for what a foreign web page makes a browser send */
export function refuseForeignPage({ fields }: RequestHead, { authority }: ClientConnection): void {
  const origin = fieldValue(fields, 'origin');
  const foreign = origin !== undefined && !isOwnName(origin.replace(/^https?:\/\//, ''), authority);
  if (foreign || fieldValue(fields, 'sec-fetch-site') === 'cross-site')
    throw new MtlsdError('POLICY_REFUSED', 'a page of another site may not use a local port', {
      hint: 'serve the page from the same host as the port',
    });
  const host = fieldValue(fields, 'host');
  if (host === undefined || isOwnName(host, authority)) return;
  throw new MtlsdError(
    'POLICY_REFUSED',
    `a local port is reached as 127.0.0.1 or localhost, not as ${JSON.stringify(host.slice(0, 100))}`,
    { hint: 'use the address that the port listens on' },
  );
}

function isOwnName(host: string, authority: Authority): boolean {
  try {
    const named = parseAuthority(host, 80);
    return named.host === 'localhost' || isLoopback(named.host) || named.host === authority.host;
  } catch {
    return false;
  }
}

/**
 * Bytes in the clear here, on TLS with the certificate to the origin.
 * @throws MtlsdError as dialling does, CLIENT_CERTIFICATE_UNUSABLE, POLICY_REFUSED
 */
export async function relayLocal(
  context: TunnelContext,
  store: StoreSnapshot,
  socket: Socket,
  { authority, profile }: LocalPort,
  client: string,
): Promise<void> {
  const wish = { profile };
  const { choice, policy, action, why } = decide(store, authority, wish);
  if (action === 'refuse') throw policyRefused(authority.text, why);
  const route = routeOf({ scheme: 'https', authority, wish, choice, policy });
  requireUsable(route);
  const open = async (): Promise<{ socket: Socket; connection: string | undefined }> => {
    const { socket: origin, record } = await context.dial({ authority, choice, policy, override: false, alpn: [] });
    return { socket: origin, connection: record?.connection };
  };
  const still = (next: StoreSnapshot): boolean => stillDecided(route, next);
  await tunnel(context, socket, { authority, client, why: 'a local port', still, open }, () => {});
}
