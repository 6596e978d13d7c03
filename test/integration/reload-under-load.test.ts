/**
 * A hundred reloads, thirty of them of a broken file, under fifty clients, some with one connection for all, some with one a
 * request: no request fails, and none carries an identity that no store in force during it named.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScene, type Scene } from '../support/scene.ts';
import { type RunningDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import { throughTunnel } from '../support/tunnel.ts';
import { answerTo, TunnelAgent } from '../support/tunnel-agent.ts';

const RELOADS = 100;
const CLIENTS = 50;
/** Of ten reloads, those that write a broken file. */
const BROKEN = new Set([2, 5, 8]);
const IDENTITIES = Array.from({ length: 10 }, (_, index) => `client-${index}`);

interface Outcome {
  readonly status: number;
  /** Generations of the store: the one in force when the request began, and when its answer was there. */
  readonly from: number;
  readonly to: number;
  readonly client: string | null;
  readonly connection: 'kept' | 'new';
}

describe('a store that is reloaded all the time', () => {
  const dir = temporaryDirectory();
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    // Few connections to the origin, each used by many: handshakes would take all the time there is.
    const settings = 'limits: { upstream_connections: 8 }\n';
    scene = await createScene({ files: dir, clients: IDENTITIES, store: () => storeOf(0), settings });
    ({ origin, daemon } = scene);
  });
  afterAll(() => scene.close());

  const identityOf = (generation: number): string => IDENTITIES[generation % IDENTITIES.length] as string;
  const storeOf = (generation: number): string => {
    const name = identityOf(generation);
    return `version: 1 # ${generation}
certificates:
  - { name: one, host: localhost, port: "*", cert: ${dir}/${name}.crt, key: ${dir}/${name}.key }
trust: { system: false, ca: [${dir}/root.crt] }
`;
  };

  test('fails no request, and sends no identity that was not in force', async () => {
    // The generation is counted when its file is about to be written, and known to be in force when the log says so: what
    // was sent between the two may be of either.
    let written = 0;
    let inForce = 0;
    const load = { running: true };
    const outcomes: Outcome[] = [];

    const requests = Array.from({ length: CLIENTS }, async (_, number) => {
      const connection = number % 5 === 0 ? 'new' : 'kept';
      const authority = `localhost:${origin.port}`;
      const agent = new TunnelAgent(() => throughTunnel(daemon, authority), connection === 'kept');
      while (load.running) {
        const from = inForce;
        const { status, body } = await answerTo(agent, authority);
        const seen = status === 200 ? (JSON.parse(body) as Seen) : null;
        outcomes.push({ status, from, to: written, client: seen?.client ?? null, connection });
      }
      agent.destroy();
    });

    const file = join(daemon.home, 'certificates.yaml');
    for (let reload = 1; reload <= RELOADS; reload++) {
      const [from, before] = [daemon.log.length, outcomes.length];
      if (BROKEN.has(reload % 10)) {
        writeFileSync(file, `${storeOf(written)}verification: { mode: nonsense-${reload} }\n`);
        await daemon.event('store.rejected', (line) => daemon.log.indexOf(line, from) >= from);
      } else {
        written += 1;
        writeFileSync(file, storeOf(written));
        await daemon.event('store.loaded', (line) => daemon.log.indexOf(line, from) >= from);
        inForce = written;
      }
      // Some requests under each store, so that its connections are made and pooled.
      await new Promise<void>((resolve) => {
        const look = (): void => void (outcomes.length >= before + 10 ? resolve() : setImmediate(look));
        look();
      });
    }
    load.running = false;
    await Promise.all(requests);

    expect(written).toBe(70);
    expect(outcomes.length).toBeGreaterThan(1000);
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
    const allowed = ({ from, to }: Outcome): string[] =>
      Array.from({ length: to - from + 1 }, (_, offset) => identityOf(from + offset));
    expect(outcomes.filter((outcome) => !allowed(outcome).includes(outcome.client ?? ''))).toEqual([]);
    // It is no test if the windows hold every identity: nearly all hold one, two or three of the ten.
    const narrow = outcomes.filter((outcome) => allowed(outcome).length <= 3);
    expect(narrow.length).toBeGreaterThan(outcomes.length / 2);
    for (const connection of ['kept', 'new'])
      expect(new Set(outcomes.filter((each) => each.connection === connection).map(({ client }) => client))).toEqual(
        new Set(IDENTITIES),
      );
    expect(daemon.log.filter(({ event }) => event === 'store.rejected')).toHaveLength(30);
    expect(daemon.log.filter(({ event }) => event === 'tls.failed')).toEqual([]);
  });
});
