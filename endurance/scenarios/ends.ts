/** Connections that end in every ugly way, on both sides and in both versions: the daemon holds nothing of them afterwards. */
import { openArena, openTcp, openTunnel } from '../../fuzz/wire/arena.ts';
import { quiet } from '../../fuzz/wire/script.ts';
import type { RunningDaemon } from '../../test/support/daemon.ts';
import { frame, FRAME, headers, PREFACE } from '../../test/support/h2-frames.ts';
import { createPki } from '../../test/support/pki.ts';
import { connectThrough } from '../../test/support/tunnel.ts';
import {
  end,
  type End,
  endingOrigin,
  type EndingOrigin,
  ORIGIN_STAGES,
  type Stage,
  type Version,
} from '../ending-origin.ts';
import { residentMb } from '../memory.ts';
import { inLanes, type Scenario, scaled } from '../scenario.ts';

const LANES = 24;
/** V8 lets garbage grow to what it finds worth collecting; with little room for it, what grows is held or lost. */
const HEAP = '--max-old-space-size=64';
/** Of the memory at the end over that after the first tenth. */
const MOST_GROWTH_MB = 48;

const ENDS: readonly End[] = ['fin', 'reset'];
const VERSIONS: readonly Version[] = ['h1', 'h2'];
const CLIENT_STAGES = ['tcp', 'connect', 'hello', 'head', 'body', 'response'] as const;

interface Way {
  readonly name: string;
  readonly run: (daemon: RunningDaemon) => Promise<void>;
}

export const ends: Scenario = {
  name: 'ends',
  async run(scale) {
    const arena = await openArena('', { NODE_OPTIONS: HEAP });
    const { keyPem: key, certPem: cert } = await (await createPki()).selfSigned({
      cn: 'localhost',
      sans: ['localhost'],
    });
    const origins: EndingOrigin[] = [];
    const open = async (version: Version, stage: Stage, as: End): Promise<EndingOrigin> => {
      const origin = await endingOrigin({ key, cert }, version, stage, as);
      origins.push(origin);
      return origin;
    };
    const ways: Way[] = [];
    for (const version of VERSIONS) {
      const waiting = await open(version, 'never', 'fin');
      for (const as of ENDS) {
        for (const stage of CLIENT_STAGES) {
          const run = (daemon: RunningDaemon): Promise<void> => leave(daemon, waiting.port, version, stage, as);
          ways.push({ name: `client ${version} ${stage} ${as}`, run });
        }
        for (const stage of ORIGIN_STAGES) {
          const { port } = await open(version, stage, as);
          const run = (daemon: RunningDaemon): Promise<void> => stay(daemon, port, version);
          ways.push({ name: `origin ${version} ${stage} ${as}`, run });
        }
      }
    }
    const letGo = (): void => {
      for (const origin of origins) origin.drop();
    };
    try {
      const count = scaled(20_000, scale, ways.length);
      const daemon = await arena.daemon();
      const each = (from: number, to: number): Promise<void> =>
        inLanes(to - from, LANES, async (index) => {
          const way = ways[(from + index) % ways.length] as Way;
          try {
            await way.run(daemon);
          } catch (error) {
            throw new Error(`${way.name}: ${String(error)}`, { cause: error });
          }
          arena.assertWell();
        });
      const tenth = Math.round(count / 10);
      await each(0, tenth);
      await arena.settle(letGo);
      const earlyMb = residentMb(daemon);
      await each(tenth, count);
      await arena.settle(letGo);
      const lateMb = residentMb(daemon);
      if (lateMb - earlyMb > MOST_GROWTH_MB) throw new Error(`${earlyMb} MB after a tenth, ${lateMb} MB at the end`);
      return { connections: count, ways: ways.length, 'MB after a tenth': earlyMb, 'MB at the end': lateMb };
    } finally {
      letGo();
      await arena.close();
      await Promise.all(origins.map((origin) => origin.close()));
    }
  },
};

/** A client that ends at a stage of its own. */
async function leave(
  daemon: RunningDaemon,
  port: number,
  version: Version,
  stage: (typeof CLIENT_STAGES)[number],
  as: End,
): Promise<void> {
  const authority = `localhost:${port}`;
  if (stage === 'tcp') return end(as, await openTcp(daemon.proxyPort));
  if (stage === 'connect' || stage === 'hello') {
    const socket = await connectThrough(daemon.proxyPort, authority);
    socket.on('error', () => {}).resume();
    // The record's header, and the beginning of a ClientHello of 512 bytes.
    if (stage === 'hello') socket.write(Buffer.from('16030102000100', 'hex'));
    return end(as, socket);
  }
  const { raw, tls } = await openTunnel(daemon, authority, version === 'h1' ? 'http/1.1' : 'h2');
  const { head, body } = post(version, authority);
  if (stage === 'head') tls.write(head.subarray(0, head.length - 5));
  if (stage === 'body') tls.write(Buffer.concat([head, body.subarray(0, body.length / 2)]));
  if (stage === 'response') {
    tls.write(Buffer.concat([head, body]));
    await quiet(tls);
  }
  end(as, raw, tls);
}

/** A client that asks, and takes what comes. */
async function stay(daemon: RunningDaemon, port: number, version: Version): Promise<void> {
  const authority = `localhost:${port}`;
  const { raw, tls } = await openTunnel(daemon, authority, version === 'h1' ? 'http/1.1' : 'h2');
  const { head, body } = post(version, authority);
  tls.write(Buffer.concat([head, body]));
  await quiet(tls, 30);
  tls.destroy();
  raw.destroy();
}

function post(version: Version, authority: string): { readonly head: Buffer; readonly body: Buffer } {
  const body = Buffer.alloc(2_000, 'x');
  if (version === 'h1')
    return { head: Buffer.from(`POST / HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 2000\r\n\r\n`), body };
  const pseudo = [':method', 'POST', ':path', '/', ':scheme', 'https', ':authority', authority];
  const opening = [Buffer.from(PREFACE), frame(FRAME.settings, 0, 0), headers(1, pseudo, false)];
  return { head: Buffer.concat(opening), body: frame(FRAME.data, 1, 1, body) };
}
