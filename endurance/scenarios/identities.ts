/**
 * Requests to many authorities, each with its own certificate, while entries are added, removed and swapped, by the API and by
 * the file: the origin says which certificate it got.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../fuzz/random.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../../test/support/daemon.ts';
import { nodeOrigin, type Seen } from '../../test/support/origins.ts';
import { createPki } from '../../test/support/pki.ts';
import { throughTunnel } from '../../test/support/tunnel.ts';
import { answerTo, TunnelAgent } from '../../test/support/tunnel-agent.ts';
import { assertFigures, type Figures, type Scenario, scaled } from '../scenario.ts';

const PAIRS = 50;

/** An authority, and what its entry named over time: null where it had none, and no certificate may be sent. */
interface Pair {
  readonly host: string;
  readonly names: readonly [string, string];
  readonly history: (string | null)[];
  /** Of the state that was acknowledged last; one after it may be in force already. */
  acknowledged: number;
}

export const identities: Scenario = {
  name: 'identities',
  async run(scale) {
    const files = temporaryDirectory();
    const pairs = Array.from({ length: PAIRS }, (_, index): Pair => {
      const names = [`h${index}-one`, `h${index}-two`] as const;
      return { host: `h${index}.test.example`, names, history: [names[index % 2] ?? null], acknowledged: 0 };
    });
    const root = await (await createPki()).root();
    root.write(files, 'root');
    for (const name of pairs.flatMap(({ names }) => names))
      (await root.issue({ cn: name, eku: ['clientAuth'] })).write(files, name);
    const { keyPem: key, chainPem: cert } = await root.issue({ cn: 'origin', sans: ['*.test.example'] });
    const origin = await nodeOrigin(
      { key, cert, ca: root.certPem, requestCert: true, rejectUnauthorized: false },
      (request, response, { client }) => {
        request.resume();
        response.end(JSON.stringify({ client } satisfies Partial<Seen>));
      },
    );
    const elsewhere = pairs.map(({ host }) => `"${host}:443": "127.0.0.1:${origin.port}"`);
    const daemon = await startDaemon({
      store: storeOf(files, pairs),
      settings: `connect_to: { ${elsewhere.join(', ')} }\nlimits: { records: 100 }\n`,
      keeps: ({ event }) => event.startsWith('store.') || event.startsWith('daemon.'),
    });
    try {
      return await tryAll(daemon, files, pairs, scaled(100_000, scale), scaled(500, scale));
    } finally {
      await Promise.all([daemon.stop(), origin.close()]);
    }
  },
};

async function tryAll(
  daemon: RunningDaemon,
  files: string,
  pairs: readonly Pair[],
  requests: number,
  reloads: number,
): Promise<Figures> {
  const counts = { requests: 0, wrong: 0, 'used after removal': 0, failed: 0, 'without a certificate': 0 };
  let next = 0;
  let changed = 0;
  /** Wakes the changes: they are spread over the requests. */
  let progressed = (): void => {};

  const ask = async (pair: Pair, agent: TunnelAgent): Promise<void> => {
    const from = pair.acknowledged;
    const answer = await answerTo(agent, `${pair.host}:443`).catch(() => null);
    counts.requests += 1;
    progressed();
    if (answer?.status !== 200) return void (counts.failed += 1);
    const { client } = JSON.parse(answer.body) as Pick<Seen, 'client'>;
    if (client === null) counts['without a certificate'] += 1;
    if (pair.history.slice(from).includes(client)) return;
    if (pair.history.slice(from).every((state) => state === null)) counts['used after removal'] += 1;
    else counts.wrong += 1;
  };
  const clients = pairs.map(async (pair, index) => {
    // One in five opens a tunnel for each request.
    const agent = new TunnelAgent(() => throughTunnel(daemon, `${pair.host}:443`), index % 5 !== 0);
    while (next < requests) {
      next += 1;
      await ask(pair, agent);
    }
    agent.destroy();
  });
  const changes = (async (): Promise<void> => {
    const random = new Random('identities');
    for (; changed < reloads; changed++) {
      const due = (requests * changed) / reloads;
      while (counts.requests < due) await new Promise<void>((resolve) => (progressed = resolve));
      if (changed % 5 === 0) await changeByFile(daemon, files, pairs, random);
      else await changeByApi(daemon, files, random.pick(pairs));
    }
  })();
  await Promise.all([...clients, changes]);
  const figures = {
    ...counts,
    reloads: changed,
    removals: pairs.flatMap(({ history }) => history).filter(isNull).length,
  };
  if (figures.removals === 0 || figures['without a certificate'] === 0) throw new Error('nothing was removed');
  return assertFigures(figures, { requests, reloads, wrong: 0, 'used after removal': 0, failed: 0 });
}

const isNull = (state: string | null): boolean => state === null;

/** One certificate, then the other, then none. */
function after({ names: [one, two], history }: Pair): string | null {
  const now = history.at(-1) ?? null;
  if (now === null) return one;
  return now === one ? two : null;
}

async function changeByApi(daemon: RunningDaemon, files: string, pair: Pair): Promise<void> {
  const [before, name] = [pair.history.at(-1) ?? null, after(pair)];
  pair.history.push(name);
  const path = `/api/v1/certificates`;
  const body = name && JSON.stringify({ name: entryName(pair), ...entryOf(files, pair, name) });
  const method = name === null ? 'DELETE' : before === null ? 'POST' : 'PUT';
  const response = await daemon.api(method === 'POST' ? path : `${path}/${entryName(pair)}`, {
    method,
    ...(body !== null && { body, headers: { 'content-type': 'application/json' } }),
  });
  if (!response.ok) throw new Error(`${method} of ${pair.host}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
  pair.acknowledged = pair.history.length - 1;
}

/** Three entries at once. */
async function changeByFile(
  daemon: RunningDaemon,
  files: string,
  pairs: readonly Pair[],
  random: Random,
): Promise<void> {
  const changed = new Set([random.pick(pairs), random.pick(pairs), random.pick(pairs)]);
  for (const pair of changed) pair.history.push(after(pair));
  writeFileSync(join(daemon.home, 'certificates.yaml'), storeOf(files, pairs));
  // The log's line may be of the change before; this answer is of this file.
  const response = await daemon.api('/api/v1/reload', { method: 'POST' });
  if (!response.ok) throw new Error(`reload: ${response.status} ${await response.text()}`);
  for (const pair of changed) pair.acknowledged = pair.history.length - 1;
}

const entryName = ({ host }: Pair): string => host.replaceAll('.', '-');

const entryOf = (files: string, { host }: Pair, name: string) => ({
  host,
  cert: `${files}/${name}.crt`,
  key: `${files}/${name}.key`,
});

function storeOf(files: string, pairs: readonly Pair[]): string {
  const entries = pairs.flatMap((pair) => {
    const name = pair.history.at(-1) ?? null;
    return name === null ? [] : [JSON.stringify({ name: entryName(pair), ...entryOf(files, pair, name) })];
  });
  const list = entries.length === 0 ? '[]' : `[\n  ${entries.join(',\n  ')}\n]`;
  return `version: 1\ncertificates: ${list}\ntrust: { system: false, ca: [${files}/root.crt] }\n`;
}
