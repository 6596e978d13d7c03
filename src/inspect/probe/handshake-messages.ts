/**
 * The messages of a TLS handshake out of the bytes of one direction (RFC 5246 §6.2 and §7.4, RFC 8446 §4 and §5). Node does
 * not show CertificateRequest, nor what was really sent; a probe reads both here. TLS 1.2 shows it in the clear; for
 * TLS 1.3 the traffic secret from the socket's `keylog` event opens it.
 */
import { createDecipheriv, createHmac } from 'node:crypto';

export interface HandshakeMessage {
  readonly type: number;
  readonly body: Buffer;
}

export const MESSAGE = {
  serverHello: 2,
  certificate: 11,
  certificateRequest: 13,
  finished: 20,
} as const;

const CONTENT_CHANGE_CIPHER_SPEC = 20;
const CONTENT_HANDSHAKE = 22;
const CONTENT_APPLICATION_DATA = 23;
const RECORD_HEADER = 5;

interface Suite {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly hash: 'sha256' | 'sha384';
  readonly keyLength: number;
}

// RFC 8446 appendix B.4, without the CCM suites, which Node does not offer.
const SUITES: Record<number, Suite> = {
  0x1301: { cipher: 'aes-128-gcm', hash: 'sha256', keyLength: 16 },
  0x1302: { cipher: 'aes-256-gcm', hash: 'sha384', keyLength: 32 },
  0x1303: { cipher: 'chacha20-poly1305', hash: 'sha256', keyLength: 32 },
};

export interface TrafficKey {
  /** SERVER_ or CLIENT_HANDSHAKE_TRAFFIC_SECRET. */
  readonly secret: Buffer;
  /** Of the ServerHello. */
  readonly suite: number;
}

/**
 * All whole handshake messages in `bytes`, as far as they can be read: up to ChangeCipherSpec in TLS 1.2, up to Finished
 * in TLS 1.3. Never throws; damage ends the list.
 */
export function handshakeMessages(bytes: Buffer, key: TrafficKey | null): HandshakeMessage[] {
  const open = key && opener(key);
  const parts: Buffer[] = [];
  for (const { type, header, body } of records(bytes)) {
    if (type === CONTENT_HANDSHAKE) parts.push(body);
    else if (type === CONTENT_CHANGE_CIPHER_SPEC && !open) break;
    else if (type === CONTENT_APPLICATION_DATA) {
      const inner = open?.(header, body) ?? null;
      if (inner === null) break; // after Finished other keys are in use
      parts.push(inner);
    }
  }
  return messages(Buffer.concat(parts));
}

function* records(bytes: Buffer): Generator<{ type: number; header: Buffer; body: Buffer }> {
  for (let start = 0; start + RECORD_HEADER <= bytes.length; ) {
    const end = start + RECORD_HEADER + bytes.readUInt16BE(start + 3);
    if (end > bytes.length) return;
    const header = bytes.subarray(start, start + RECORD_HEADER);
    yield { type: bytes.readUInt8(start), header, body: bytes.subarray(start + RECORD_HEADER, end) };
    start = end;
  }
}

function messages(bytes: Buffer): HandshakeMessage[] {
  const found: HandshakeMessage[] = [];
  for (let start = 0; start + 4 <= bytes.length; ) {
    const end = start + 4 + bytes.readUIntBE(start + 1, 3);
    if (end > bytes.length) break;
    found.push({ type: bytes.readUInt8(start), body: bytes.subarray(start + 4, end) });
    start = end;
  }
  return found;
}

/** Decrypts the records of one direction in their order (RFC 8446 §5.2 and §5.3). */
function opener({ secret, suite }: TrafficKey): ((header: Buffer, body: Buffer) => Buffer | null) | null {
  const found = SUITES[suite];
  if (!found) return null;
  const { cipher, hash, keyLength } = found;
  const key = expandLabel(hash, secret, 'key', keyLength);
  const iv = expandLabel(hash, secret, 'iv', 12);
  let sequence = 0n;
  return (header, body) => {
    const nonce = Buffer.from(iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ sequence++, 4);
    try {
      // One overload a cipher: Node types authenticated modes apart.
      const decipher =
        cipher === 'chacha20-poly1305'
          ? createDecipheriv(cipher, key, nonce, { authTagLength: 16 })
          : createDecipheriv(cipher, key, nonce);
      decipher.setAAD(header, { plaintextLength: body.length - 16 });
      decipher.setAuthTag(body.subarray(-16));
      const plain = Buffer.concat([decipher.update(body.subarray(0, -16)), decipher.final()]);
      let end = plain.length;
      while (end > 0 && plain[end - 1] === 0) end--; // padding
      return plain[end - 1] === CONTENT_HANDSHAKE ? plain.subarray(0, end - 1) : Buffer.alloc(0);
    } catch {
      return null;
    }
  };
}

/** HKDF-Expand-Label (RFC 8446 §7.1) for outputs of one block, which all keys and nonces here are. */
function expandLabel(hash: string, secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(length >> 8, length & 255, name.length), name, Buffer.of(0, 1)]);
  return createHmac(hash, secret).update(info).digest().subarray(0, length);
}
