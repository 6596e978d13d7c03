/** A verified TLS connection to a CA, for a command that has no daemon to make one. */
import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { connect } from 'node:tls';
import type { TrustFields } from '../certs/store/schema.ts';
import { loadTrust, secureContextFor, type TrustAnchors } from '../certs/trust.ts';
import type { Authority } from '../core/authority.ts';
import { MtlsdError, nativeCode } from '../core/errors.ts';
import type { Api } from './api/api.ts';
import { CliError } from './errors.ts';

/** Longer than a connection takes whose answer is worth waiting for. */
const connectTimeoutMs = 10_000;

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
    const pem = await readFile(file, 'latin1').catch((error: unknown) => {
      throw new CliError(`${file} can't be read: ${nativeCode(error) ?? 'unknown error'}`, 'check the path');
    });
    return { pem, file };
  });
  return loadTrust({ system, ca: await Promise.all(anchors) });
}

/** @throws MtlsdError by its promise */
export function connectToCa(trust: TrustAnchors): (authority: Authority) => Promise<Socket> {
  const secureContext = secureContextFor({ identity: null, trust, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' });
  return ({ host, port, text }) =>
    new Promise((resolvePromise, reject) => {
      const socket = connect({
        host,
        port,
        secureContext,
        servername: isIP(host) === 0 ? host : '',
        ALPNProtocols: ['http/1.1'],
      });
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new MtlsdError('CONNECTION_TIMEOUT', `${text} did not answer within ${connectTimeoutMs / 1000} s`));
      }, connectTimeoutMs);
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        resolvePromise(socket);
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(failed(error, text));
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
