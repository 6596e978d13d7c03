/** CONNECT passed through untouched: no interception, no certificate of ours, one log line when it ends. */
import type { Socket } from 'node:net';
import type { Authority } from '../../core/authority.ts';
import { asMtlsdError, type MtlsdError } from '../../core/errors.ts';
import { nextId } from '../../core/ids.ts';
import { relay } from '../relay.ts';
import type { StillDecided, Tunnels } from '../tunnels.ts';
import type { Dial } from '../upstream/dial.ts';
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
  readonly dial: Dial;
  readonly onRecord: (record: TunnelRecord) => void;
  /** Ends a tunnel on which no bytes flow for so long; 0 for never. */
  readonly silenceMs: number;
  readonly tunnels: Tunnels;
}

export interface TunnelRequest {
  readonly authority: Authority;
  readonly client: string;
  readonly why: string;
  readonly still: StillDecided;
  /** The way to the origin, and the id of its record where it has one. */
  readonly open: () => Promise<{ readonly socket: Socket; readonly connection?: string | undefined }>;
}

/**
 * Opens the way first, so that a failure can still be answered in the clear.
 * @param confirm answers the client, once the origin is reached
 * @throws MtlsdError as `open` does, after the record is out
 */
export async function tunnel(
  { onRecord, tunnels, silenceMs }: TunnelContext,
  client: Socket,
  request: TunnelRequest,
  confirm: () => void,
): Promise<void> {
  const id = nextId('t');
  const time = new Date().toISOString();
  const started = performance.now();
  let { why } = request;
  const record = (sent: number, received: number, error: MtlsdError | null): TunnelRecord => ({
    event: 'tunnel',
    tunnel: id,
    started: time,
    client: request.client,
    authority: request.authority.text,
    why,
    sent_bytes: sent,
    received_bytes: received,
    ms: { total: Math.round(performance.now() - started) },
    error: error && { code: error.code, message: error.message },
  });
  let origin: Socket;
  try {
    const { socket, connection } = await request.open();
    origin = socket;
    if (connection !== undefined) why = `${why}, on connection ${connection}`;
  } catch (error) {
    const known = asMtlsdError(error);
    onRecord(record(0, 0, known));
    throw known;
  }
  if (client.destroyed) {
    origin.destroy();
    return;
  }
  confirm();
  const forget = tunnels.hold(() => client.destroy(), request.still);
  const { sent, received } = await relay(client, origin, silenceMs).finally(forget);
  onRecord(record(sent, received, null));
}
