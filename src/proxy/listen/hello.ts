/** The first bytes inside a CONNECT, read without taking them: is it TLS, and which name and protocols does it ask for? */
import type { Duplex } from 'node:stream';

export interface ClientHello {
  readonly serverName: string | null;
  readonly alpn: readonly string[];
}

/** A TLS record begins with its type, 22 for a handshake, and the major version 3 (RFC 8446 §5.1). */
export const looksLikeTls = (bytes: Buffer): boolean => bytes[0] === 22 && (bytes.length < 2 || bytes[1] === 3);

/**
 * SNI (RFC 6066 §3) and ALPN (RFC 7301 §3.1) of a ClientHello (RFC 8446 §4.1.2), for the record and for dialling ahead;
 * nothing is decided on it. What is cut off or odd reads as absent: OpenSSL judges the hello, not this.
 */
export function readClientHello(bytes: Buffer): ClientHello {
  let serverName: string | null = null;
  const alpn: string[] = [];
  try {
    let at = 5 + 4 + 2 + 32; // record header, handshake header, version, random
    at += 1 + bytes.readUInt8(at); // session id
    at += 2 + bytes.readUInt16BE(at); // cipher suites
    at += 1 + bytes.readUInt8(at); // compression methods
    const end = Math.min(at + 2 + bytes.readUInt16BE(at), bytes.length);
    at += 2;
    while (at + 4 <= end) {
      const type = bytes.readUInt16BE(at);
      const length = bytes.readUInt16BE(at + 2);
      const body = bytes.subarray(at + 4, at + 4 + length);
      if (type === 0 && body.readUInt8(2) === 0) serverName = body.toString('latin1', 5, 5 + body.readUInt16BE(3));
      if (type === 16)
        for (let i = 2; i < body.length; i += 1 + body.readUInt8(i))
          alpn.push(body.toString('latin1', i + 1, i + 1 + body.readUInt8(i)));
      at += 4 + length;
    }
  } catch {
    // cut off: what was read so far is used
  }
  return { serverName, alpn };
}

/** Waits for the first bytes and leaves them in the stream; null where the stream ends or the time runs out before any come. */
export function peek(stream: Duplex, timeoutMs: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const finish = (bytes: Buffer | null): void => {
      clearTimeout(timer);
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onEnd);
      resolve(bytes);
    };
    const onReadable = (): void => {
      const bytes = stream.read() as Buffer | null;
      if (bytes === null) return;
      stream.unshift(bytes);
      finish(bytes);
    };
    const onEnd = (): void => finish(null);
    const timer = setTimeout(finish, timeoutMs, null);
    stream.on('readable', onReadable).once('end', onEnd).once('close', onEnd).once('error', onEnd);
    onReadable();
  });
}
