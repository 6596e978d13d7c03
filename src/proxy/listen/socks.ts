/** SOCKS5 towards clients (RFC 1928, RFC 1929): CONNECT only; what follows goes the way of an HTTP CONNECT. */
import { isIPv4 } from 'node:net';
import type { Socket } from 'node:net';
import { type Authority, authorityOf } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import type { Credentials } from './auth.ts';
import { endWith } from '../linger.ts';

export interface SocksRequest {
  readonly authority: Authority;
  readonly profile: string | undefined;
}

const VERSION = 5;
const METHOD = { none: 0, password: 2, unacceptable: 0xff } as const;
const CONNECT = 1;
const ADDRESS = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** RFC 1928 §6. */
export const SOCKS_REPLY = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  commandNotSupported: 7,
  addressNotSupported: 8,
} as const;

/**
 * The greeting, the login where one is wanted, and the request; answers all but the request.
 * @throws MtlsdError BAD_REQUEST, BAD_AUTHORITY, PROXY_AUTHENTICATION_REQUIRED; the socket is answered and ended by then
 */
export async function acceptSocks(socket: Socket, credentials: Credentials, timeoutMs: number): Promise<SocksRequest> {
  const reader = new Reader(socket, timeoutMs);
  try {
    const [version = 0, count = 0] = await reader.take(2);
    if (version !== VERSION) throw notSocks(version);
    const offered = await reader.take(count);
    const profile = await login(socket, reader, offered, credentials);
    const [, command = 0, , type = 0] = await reader.take(4);
    if (command !== CONNECT) {
      reply(socket, SOCKS_REPLY.commandNotSupported);
      throw new MtlsdError('BAD_REQUEST', `SOCKS command ${command} is not served; only CONNECT is`);
    }
    const authority = await readAddress(socket, reader, type);
    return { authority, profile };
  } catch (error) {
    endWith(socket);
    throw error;
  } finally {
    reader.release();
  }
}

export function reply(socket: Socket, code: number): void {
  // The bound address is not needed by a client of a proxy; all zero says so.
  socket.write(Buffer.from([VERSION, code, 0, ADDRESS.ipv4, 0, 0, 0, 0, 0, 0]));
}

/** What an error is in SOCKS. */
export function socksReplyFor({ code }: MtlsdError): number {
  switch (code) {
    case 'POLICY_REFUSED':
    case 'LOOP_DETECTED':
      return SOCKS_REPLY.notAllowed;
    case 'CONNECTION_REFUSED':
      return SOCKS_REPLY.refused;
    case 'DNS_FAILED':
    case 'DNS_TIMEOUT':
    case 'CONNECTION_TIMEOUT':
      return SOCKS_REPLY.hostUnreachable;
    case 'CONNECTION_FAILED':
      return SOCKS_REPLY.networkUnreachable;
    default:
      return SOCKS_REPLY.failure;
  }
}

async function login(
  socket: Socket,
  reader: Reader,
  offered: Buffer,
  credentials: Credentials,
): Promise<string | undefined> {
  if (offered.includes(METHOD.password)) {
    socket.write(Buffer.from([VERSION, METHOD.password]));
    const [, userLength = 0] = await reader.take(2);
    const user = await reader.take(userLength);
    const [passwordLength = 0] = await reader.take(1);
    const password = await reader.take(passwordLength);
    try {
      const { profile } = credentials.check(
        `Basic ${Buffer.concat([user, Buffer.from(':'), password]).toString('base64')}`,
      );
      socket.write(Buffer.from([1, 0]));
      return profile;
    } catch (error) {
      socket.write(Buffer.from([1, 1]));
      throw error;
    }
  }
  try {
    credentials.check(undefined);
    if (!offered.includes(METHOD.none))
      throw new MtlsdError('PROXY_AUTHENTICATION_REQUIRED', 'the client offers no way to log in that is taken here');
  } catch (error) {
    socket.write(Buffer.from([VERSION, METHOD.unacceptable]));
    throw error;
  }
  socket.write(Buffer.from([VERSION, METHOD.none]));
  return undefined;
}

async function readAddress(socket: Socket, reader: Reader, type: number): Promise<Authority> {
  let host: string;
  if (type === ADDRESS.ipv4) host = (await reader.take(4)).join('.');
  else if (type === ADDRESS.name) host = (await reader.take((await reader.take(1))[0] ?? 0)).toString('utf8');
  else if (type === ADDRESS.ipv6) host = (await reader.take(16)).toString('hex').replace(/(.{4})(?!$)/g, '$1:');
  else {
    reply(socket, SOCKS_REPLY.addressNotSupported);
    throw new MtlsdError('BAD_REQUEST', `SOCKS address type ${type} is not known`);
  }
  const port = (await reader.take(2)).readUInt16BE();
  try {
    return authorityOf(isIPv4(host) || type !== ADDRESS.ipv6 ? host : `[${host}]`, port);
  } catch (error) {
    reply(socket, SOCKS_REPLY.addressNotSupported);
    throw error;
  }
}

function notSocks(version: number): MtlsdError {
  const hint =
    version === 4 ? 'set the client to SOCKS5 (socks5h://)' : 'this port speaks SOCKS5; the HTTP proxy has its own';
  return new MtlsdError('BAD_REQUEST', `the client does not speak SOCKS5 (its first byte is ${version})`, { hint });
}

/** Takes exact numbers of bytes and leaves the rest in the socket. */
class Reader {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #wake: (() => void) | null = null;
  #over = false;

  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timer = setTimeout(this.#end, timeoutMs);
    socket.on('readable', this.#onReadable).on('end', this.#end).on('close', this.#end).on('error', this.#end);
  }

  readonly #onReadable = (): void => this.#wake?.();
  readonly #end = (): void => {
    this.#over = true;
    this.#wake?.();
  };

  async take(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes = this.#socket.read(length) as Buffer | null;
      if (bytes?.byteLength === length) return bytes;
      if (this.#over || bytes)
        throw new MtlsdError('BAD_REQUEST', 'the client ended its SOCKS handshake half-way, or was too slow');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  release(): void {
    clearTimeout(this.#timer);
    this.#socket
      .off('readable', this.#onReadable)
      .off('end', this.#end)
      .off('close', this.#end)
      .off('error', this.#end);
  }
}
