/** A verified TLS connection to a CA, for a command that has no daemon to make one. */
import { isIP, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import type { TrustFields } from '../certs/store/schema.ts';
import { loadTrust, secureContextFor, type TrustAnchors } from '../certs/trust.ts';
import type { Authority } from '../core/authority.ts';
import { MtlsdError, nativeCode } from '../core/errors.ts';
import type { Settings } from '../settings/load.ts';
import { chooseProxies, openThrough } from '../upstream-proxies.ts';
import type { Api } from './api/api.ts';
import { readOrFail } from './read-file.ts';

/** Long enough for a slow network; a longer wait is not worth it. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * @param files of `--trust`; the store's trust where there are none
 * @throws CliError, MtlsdError BAD_CONFIGURATION
 */
export async function trustForCa(api: Api, home: string, files: readonly string[]): Promise<TrustAnchors> {
  const own = files.length > 0;
  const { system, ca } = own
    ? { system: false, ca: files }
    : (await api.call<Required<TrustFields>>('GET', '/api/v1/trust')).body;
  const anchors = ca.map(async (name) => {
    const file = own ? resolve(name) : resolve(home, name);
    const pem = (await readOrFail(file)).toString('latin1');
    return { pem, file };
  });
  return loadTrust({ system, ca: await Promise.all(anchors) });
}

/**
 * As the daemon would reach the CA: by way of `upstream_proxy`, and to where `connect_to` leads.
 * @returns what throws an MtlsdError by its promise
 * @throws MtlsdError BAD_CONFIGURATION
 */
export async function connectToCa(
  trust: TrustAnchors,
  { network }: Settings,
): Promise<(authority: Authority) => Promise<Socket>> {
  const secureContext = secureContextFor({ identity: null, trust, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' });
  const proxyFor = await chooseProxies(network, (message) => process.stderr.write(`mtlsd: ${message}\n`));
  const { connectTo } = network;
  const openTcp = openThrough(proxyFor, { connectTo, timeoutMs: CONNECT_TIMEOUT_MS, ownPorts: new Set() });
  return async (authority) => {
    const { host, text } = authority;
    const { socket } = await openTcp(authority);
    return secured(
      connect({ socket, secureContext, servername: isIP(host) === 0 ? host : '', ALPNProtocols: ['http/1.1'] }),
      text,
    );
  };
}

function secured(socket: TLSSocket, where: string): Promise<Socket> {
  return new Promise((resolvePromise, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new MtlsdError('TLS_TIMEOUT', `${where} did not finish the TLS handshake in time`));
    }, CONNECT_TIMEOUT_MS);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      resolvePromise(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(failed(error, where));
    });
  });
}

function failed(error: Error, where: string): MtlsdError {
  const code = nativeCode(error) ?? error.message;
  const network = /^E(?!RR_TLS_CERT)/.test(code) && !code.startsWith('ERR_TLS');
  return network
    ? new MtlsdError('CONNECTION_FAILED', `${where} can't be reached: ${code}`, {
        hint: 'check the address',
        cause: error,
      })
    : new MtlsdError('SERVER_CERTIFICATE_REJECTED', `the certificate of ${where} was rejected: ${code}`, {
        hint: 'name the root certificate of its CA with --trust FILE',
        cause: error,
      });
}
