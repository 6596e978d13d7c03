/** TCP to an origin: names resolved, addresses tried side by side (RFC 8305), never to this daemon's own ports. */
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Authority } from '../../core/authority.ts';
import { isLoopback } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import { classify } from '../failure/classify.ts';
import { sharedLookup } from './lookup.ts';

export interface TcpConnection {
  readonly socket: Socket;
  readonly ms: { readonly dns: number; readonly connect: number };
}

export interface TcpOptions {
  /** Where to go in place of an authority, by its `host:port` or its host; everything but the address stays the authority's. */
  readonly connectTo: ReadonlyMap<string, { readonly host: string; readonly port: number | null }>;
  readonly timeoutMs: number;
  /** For tunnels, which pass each side's end on by themselves. */
  readonly allowHalfOpen?: boolean;
  /** Ports that this daemon listens on, however they are reached: loopback, any of this machine's addresses, an alias. */
  readonly ownPorts: ReadonlySet<number>;
}

/** @throws MtlsdError DNS_FAILED, DNS_TIMEOUT, CONNECTION_REFUSED, CONNECTION_TIMEOUT, CONNECTION_FAILED, LOOP_DETECTED */
export function connectTcp(target: Authority, options: TcpOptions): Promise<TcpConnection> {
  const started = performance.now();
  let resolved: number | null = null;
  const override = options.connectTo.get(target.text) ?? options.connectTo.get(target.host);
  const host = override?.host ?? target.host;
  const port = override?.port ?? target.port;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      autoSelectFamily: true,
      allowHalfOpen: options.allowHalfOpen ?? false,
      noDelay: true,
      keepAlive: true,
      lookup: sharedLookup,
    });
    const timer = setTimeout(() => {
      socket.destroy();
      const seconds = options.timeoutMs / 1000;
      reject(
        resolved === null
          ? new MtlsdError('DNS_TIMEOUT', `the name servers gave no answer for ${host} within ${seconds} s`, {
              nothingSent: true,
            })
          : new MtlsdError('CONNECTION_TIMEOUT', `${target.text} did not answer within ${seconds} s`, {
              nothingSent: true,
            }),
      );
    }, options.timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(classify(error, 'connect', target.text));
    };
    socket.once('lookup', () => {
      resolved = performance.now();
    });
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      // Checked on what was really reached, before a byte is written: a name may resolve anywhere (DNS rebinding).
      if (options.ownPorts.has(port) && isOwnAddress(socket.remoteAddress ?? '')) {
        socket.destroy();
        reject(
          new MtlsdError(
            'LOOP_DETECTED',
            `${target.text} is this daemon itself (${socket.remoteAddress ?? 'closed'})`,
            {
              nothingSent: true,
            },
          ),
        );
        return;
      }
      const from = resolved ?? started;
      resolve({ socket, ms: { dns: from - started, connect: performance.now() - from } });
    });
  });
}

function isOwnAddress(ip: string): boolean {
  const plain = ip.startsWith('::ffff:') ? ip.slice(7) : ip;
  if (isLoopback(plain)) return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some((own) => own.address === plain));
}
