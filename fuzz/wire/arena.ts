/** A running daemon that is attacked over its sockets: is it alive, did it fault, and does it hold anything afterwards? */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { withoutPeerObject } from '../../src/tls/peer-chain.ts';
import { type RunningDaemon, startDaemon } from '../../test/support/daemon.ts';
import { connectThrough } from '../../test/support/tunnel.ts';

export interface Arena {
  /** Started again where it ended. */
  daemon(): Promise<RunningDaemon>;
  /** @throws Error where the daemon ended or faulted since the last call */
  assertWell(): void;
  /**
   * @param letGo drops what the peers hold; called again and again, since a dial may be under way
   * @throws Error where a connection, a request or a descriptor is held after that
   */
  settle(letGo: () => void): Promise<void>;
  close(): Promise<void>;
}

/** Short, so that every wait ends within a run; no size is changed. */
const SETTINGS = `socks: 127.0.0.1:0
limits: { records: 100, connections_per_address: 10000 }
timeouts: { connect: 2s, tls: 2s, request: 1s, response: 1s, idle: 1s, keep_alive: 300ms, stream: 1s, drain: 2s }
`;
/** The longest time-out that no setting shortens is the 10 s for an origin's SETTINGS; a busy machine is slower. */
const SETTLE_MS = 30_000;

const STORE = 'version: 1\nverification: { mode: report }\n';

export async function openArena(settings = '', env: NodeJS.ProcessEnv = {}): Promise<Arena> {
  let faults = 0;
  /** Descriptors before anything was sent. */
  let descriptors: number | null = null;
  let running = await start();

  async function start(): Promise<RunningDaemon> {
    const daemon = await startDaemon({
      store: STORE,
      env,
      settings: SETTINGS + settings,
      keeps: ({ event }) => event.startsWith('daemon.'),
    });
    await (await daemon.api('/metrics')).text();
    descriptors = openDescriptors(daemon);
    faults = 0;
    return daemon;
  }

  const ended = (): boolean => running.process.exitCode !== null || running.process.signalCode !== null;

  function assertWell(): void {
    const { process: child, stderr } = running;
    if (ended()) throw new Error(`the daemon exited with ${child.exitCode ?? child.signalCode}: ${stderr()}`);
    assertNoFault();
  }

  function assertNoFault(): void {
    const { log, stderr } = running;
    const seen = log.filter(({ event }) => event === 'daemon.fault');
    const fault = seen[faults];
    faults = seen.length;
    if (fault) throw new Error(`daemon.fault: ${String(fault.stack ?? fault.message)}`);
    if (stderr() !== '') throw new Error(`the daemon wrote to stderr: ${stderr()}`);
  }

  return {
    async daemon() {
      if (ended()) running = await start();
      return running;
    },
    assertWell,
    async settle(letGo) {
      const deadline = performance.now() + SETTLE_MS;
      for (;;) {
        letGo();
        assertWell();
        const held = await heldBy(running, descriptors ?? 0);
        if (held === null) return;
        if (performance.now() > deadline) throw new Error(`still held: ${held}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async close() {
      if (ended()) return;
      const code = await running.stop();
      if (code !== 0) throw new Error(`the daemon stopped with ${code}`);
      assertNoFault();
    },
  };
}

export const openDescriptors = ({ process: { pid } }: RunningDaemon): number | null => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null; // no procfs here
  }
};

/** Metrics that are zero when nothing is under way. */
const HELD =
  /^(?:mtlsd_client_connections|mtlsd_upstream_connections|mtlsd_upstream_requests\{state="\w+"\}) [1-9]\d*$/gm;

/** What the daemon holds, in words; null when nothing is under way. @param descriptors that were open at the start */
export async function heldBy(daemon: RunningDaemon, descriptors: number): Promise<string | null> {
  const text = await (await daemon.api('/metrics')).text();
  const held = text.match(HELD);
  if (held) return held.join(', ');
  const now = openDescriptors(daemon);
  return now !== null && now > descriptors ? `${now} descriptors, ${descriptors} at the start` : null;
}

/** A TLS connection through CONNECT, with the TCP socket below it. */
export async function openTunnel(
  daemon: RunningDaemon,
  authority: string,
  alpn: 'h2' | 'http/1.1',
): Promise<{ readonly raw: Socket; readonly tls: TLSSocket }> {
  const raw = await connectThrough(daemon.proxyPort, authority);
  raw.setNoDelay(true);
  const options = { socket: raw, secureContext: contextOf(daemon), servername: 'localhost', ALPNProtocols: [alpn] };
  // Node's check of the name takes a tenth of an input's time.
  const tls = withoutPeerObject(connectTls({ ...options, checkServerIdentity: () => undefined }));
  raw.on('error', () => {});
  const closed = new AbortController();
  tls.once('close', () => closed.abort(Object.assign(new Error('closed in the handshake'), { code: 'ECONNRESET' })));
  try {
    await once(tls, 'secureConnect', { signal: closed.signal });
  } catch (error) {
    raw.destroy();
    throw closed.signal.aborted ? closed.signal.reason : error;
  }
  tls.on('error', () => {}).resume();
  return { raw, tls };
}

const contexts = new WeakMap<RunningDaemon, SecureContext>();
function contextOf(daemon: RunningDaemon): SecureContext {
  const context = contexts.get(daemon) ?? createSecureContext({ ca: readFileSync(daemon.caFile) });
  contexts.set(daemon, context);
  return context;
}

export async function openTcp(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => {}).resume();
  return socket;
}
