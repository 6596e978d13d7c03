/** CONNECT passed through untouched: no interception, no certificate of ours, one log line when it ends. */
import type { Socket } from 'node:net';
import type { Authority } from '../../core/authority.ts';
import { asMtlsdError, type MtlsdError } from '../../core/errors.ts';
import { nextId } from '../../core/ids.ts';
import { relay } from '../relay.ts';
import type { StillDecided, Tunnels } from '../tunnels.ts';
import type { TcpConnection } from '../upstream/tcp.ts';

export interface TunnelRecord {
  readonly event: 'tunnel';
  readonly tunnel: string;
  readonly started: string;
  readonly client: string;
  readonly authority: string;
  readonly why: string;
  readonly sent_bytes: number;
  readonly received_bytes: number;
  readonly ms: { readonly total: number };
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface TunnelContext {
  readonly openTcp: (authority: Authority) => Promise<TcpConnection>;
  readonly onRecord: (record: TunnelRecord) => void;
  /** Ends a tunnel on which no bytes flow for so long; 0 for never. */
  readonly silenceMs: number;
  readonly tunnels: Tunnels;
}

/**
 * Opens the way first, so that a failure can still be answered in the clear.
 * @param confirm sends the client its 200, once the origin is reached
 * @throws MtlsdError as connectTcp does, after the record is out
 */
export async function tunnel(
  context: TunnelContext,
  socket: Socket,
  request: { authority: Authority; client: string; why: string; still: StillDecided },
  confirm: () => void,
): Promise<void> {
  const id = nextId('t');
  const time = new Date().toISOString();
  const started = performance.now();
  const record = (sent: number, received: number, error: MtlsdError | null): TunnelRecord => ({
    event: 'tunnel',
    tunnel: id,
    started: time,
    client: request.client,
    authority: request.authority.text,
    why: request.why,
    sent_bytes: sent,
    received_bytes: received,
    ms: { total: Math.round(performance.now() - started) },
    error: error && { code: error.code, message: error.message },
  });
  let upstream: TcpConnection;
  try {
    upstream = await context.openTcp(request.authority);
  } catch (error) {
    const known = asMtlsdError(error);
    context.onRecord(record(0, 0, known));
    throw known;
  }
  if (socket.destroyed) {
    upstream.socket.destroy();
    return;
  }
  confirm();
  const forget = context.tunnels.hold(() => socket.destroy(), request.still);
  const { sent, received } = await relay(socket, upstream.socket, context.silenceMs).finally(forget);
  context.onRecord(record(sent, received, null));
}
