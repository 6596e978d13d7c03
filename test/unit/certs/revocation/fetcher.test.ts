/** CRLs of servers that hang, lie or are forged, on a real connection: what was known before stays known. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CrlFetcher, type CrlFetcherOptions } from '../../../../src/certs/revocation/fetcher.ts';
import { serialNumber } from '../../../../src/core/extensions.ts';
import { CrlBook } from '../../../../src/core/revocation/book.ts';
import { type CrlServer, startCrlServer } from '../../../support/crl-server.ts';
import { ago, ahead, type Authority, createPki, DAY, HOUR, type Issued } from '../../../support/pki.ts';
import { crlOf } from '../../../support/revocation.ts';
import { folderFor } from '../store/support.ts';

const MINUTE = 60_000;

let root: Authority;
/** Has its name, and another key. */
let namesake: Authority;
let other: Authority;
let leaf: Issued;
let server: CrlServer;

beforeAll(async () => {
  const pki = await createPki();
  root = await pki.root({ key: 'rsa2048', cn: 'Root' });
  namesake = await pki.root({ key: 'rsa2048', cn: 'Root' });
  other = await pki.root({ key: 'rsa2048', cn: 'Other' });
  leaf = await root.issue();
  server = await startCrlServer();
});
afterAll(() => server.close());
afterEach(() => vi.useRealTimers());

interface Running {
  readonly fetcher: CrlFetcher;
  readonly folder: string;
  /** Until the fetch that is under way has ended: the message of its failure, or null. */
  fetched(): Promise<string | null>;
  /** Whether what is at hand of the URL, signed by the root, lists the leaf; null where nothing is. */
  revokes(url?: string): boolean | null;
}

function start(options: Partial<CrlFetcherOptions> = {}): Running {
  const { book = new CrlBook(), folder = folderFor() } = options;
  const outcomes: (string | null)[] = [];
  const fetcher = new CrlFetcher({
    book,
    folder,
    connect: async ({ host, port }) => {
      const socket = connect(port, host);
      await once(socket, 'connect');
      return { socket, fields: null };
    },
    anchors: () => [root.x509],
    onUpdated: () => outcomes.push(null),
    onFailed: (_url, message) => outcomes.push(message),
    ...options,
  });
  onTestFinished(() => fetcher.close());
  return {
    fetcher,
    folder,
    async fetched() {
      await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(0), { timeout: 20_000 });
      return outcomes.shift() ?? null;
    },
    revokes(url = server.url) {
      const own = book.get(url).filter((crl) => crl.isOf(root.x509));
      return own.length === 0 ? null : own.some((crl) => crl.find(serialNumber(leaf.x509)) !== null);
    },
  };
}

/** What a run leaves behind that has a CRL which lists the leaf. */
async function aRunBefore(content: Parameters<typeof crlOf>[1] = {}): Promise<string> {
  server.serve(await crlOf(root, { revoked: [leaf.x509], ...content }));
  const { fetcher, folder, fetched } = start();
  await fetcher.update(new Set([server.url]));
  expect(await fetched()).toBeNull();
  fetcher.close();
  return folder;
}

/** So old that the next run fetches at once. */
const OVER = { thisUpdate: ago(2 * DAY), nextUpdate: ago(DAY) };

const contentOf = (folder: string): string[] =>
  readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'latin1'));

describe('a server that', () => {
  const forever = (response: ServerResponse, chunk: Buffer): void => {
    const write = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', write);
    write();
  };
  const good = () => crlOf(root, { thisUpdate: ago(MINUTE) });
  const derOf = (pem: string) => Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64');

  test.each<[what: string, how: (response: ServerResponse) => unknown, why: RegExp]>([
    ['never answers', () => {}, /did not answer in time$/],
    [
      'never ends its answer',
      (response) => response.writeHead(200).write('-----BEGIN X509 CRL-----\n'),
      /did not answer in time$/,
    ],
    ['refuses', (response) => response.writeHead(404).end(), /answered 404$/],
    [
      'closes half-way',
      async (response) => {
        response.writeHead(200, { 'content-length': '5000' }).write((await good()).slice(0, 300));
        setImmediate(() => response.destroy());
      },
      /can't be fetched: UND_ERR_SOCKET$/,
    ],
    ['sends half of one', async (response) => response.end(derOf(await good()).subarray(0, 200)), /can't be used: /],
    [
      'sends half of one in PEM',
      async (response) => response.end((await good()).slice(0, 300)),
      /is truncated|holds no CRL/,
    ],
    [
      'sends a page',
      (response) => response.setHeader('content-type', 'text/html').end('<html>Sign in</html>'),
      /holds no CRL/,
    ],
    ['sends nothing', (response) => response.end(), /holds no CRL/],
    [
      'sends without end',
      (response) => forever(response.writeHead(200), Buffer.alloc(1024 * 1024)),
      /sent more than 20 MiB$/,
    ],
    [
      'announces gigabytes',
      (response) => forever(response.writeHead(200, { 'content-length': '5000000000' }), Buffer.alloc(1024 * 1024)),
      /sent more than 20 MiB$/,
    ],
    [
      'leads elsewhere',
      (response) => response.writeHead(302, { location: `${server.url}?elsewhere` }).end(),
      /answered 302$/,
    ],
  ])('%s, changes nothing, and is asked again in a minute', async (_what, how, why) => {
    const folder = await aRunBefore(OVER);
    const before = contentOf(folder);
    server.serve((response) => void how(response));
    const asked = server.asked.length;
    const run = start({ folder, timeoutMs: 2000 });
    await run.fetcher.update(new Set([server.url]));
    expect(await run.fetched()).toMatch(why);
    expect(run.revokes()).toBe(true);
    expect(contentOf(folder)).toEqual(before);
    expect(server.asked.length).toBe(asked + 1);
    const [state] = run.fetcher.states();
    expect(state?.lastError).toMatch(why);
    const wait = (state?.next?.getTime() ?? 0) - Date.now();
    expect(wait).toBeGreaterThan(0.7 * MINUTE);
    expect(wait).toBeLessThan(1.3 * MINUTE);
  });

  test('does not speak HTTP is told so', async () => {
    const odd = createServer((socket) => void socket.on('error', () => {}).end('SSH-2.0-x\r\n')).listen(0, '127.0.0.1');
    await once(odd, 'listening');
    onTestFinished(() => void odd.close());
    const run = start();
    await run.fetcher.update(new Set([`http://127.0.0.1:${(odd.address() as AddressInfo).port}/a.crl`]));
    expect(await run.fetched()).toMatch(/sent something that is not HTTP$/);
  });

  test('calls a CRL by another type is believed, as the CRL is signed', async () => {
    const crl = await good();
    server.serve((response) => void response.setHeader('content-type', 'text/html').end(crl));
    const run = start();
    await run.fetcher.update(new Set([server.url]));
    expect(await run.fetched()).toBeNull();
    expect(run.revokes()).toBe(false);
  });
});

describe('a CRL that', () => {
  async function second(crl: string, options: Partial<CrlFetcherOptions> = {}) {
    const folder = await aRunBefore(OVER);
    const before = contentOf(folder);
    server.serve(crl);
    const run = start({ folder, ...options });
    await run.fetcher.update(new Set([server.url]));
    return { ...run, message: await run.fetched(), unchanged: contentOf(folder).join() === before.join() };
  }

  test('is forged clears nobody', async () => {
    const run = await second(await crlOf(namesake, { thisUpdate: ago(MINUTE) }));
    expect(run).toMatchObject({ message: expect.stringMatching(/is not signed by its issuer$/), unchanged: true });
    expect(run.revokes()).toBe(true);
  });

  test('is forged revokes nobody', async () => {
    server.serve(await crlOf(namesake, { revoked: [leaf.x509] }));
    const run = start();
    await run.fetcher.update(new Set([server.url]));
    expect(await run.fetched()).toMatch(/is not signed by its issuer$/);
    expect(run.revokes()).toBeNull();
  });

  test('is forged, before the issuer is known, is told from the real one once that is', async () => {
    // Without the CA that the run before kept beside the CRL.
    const folder = await aRunBefore(OVER);
    const book = new CrlBook();
    book.issuersOf = () => [];
    server.serve(await crlOf(namesake, { thisUpdate: ago(MINUTE) }));
    const before = contentOf(folder);
    const run = start({ folder, book });
    await run.fetcher.update(new Set([server.url]));
    expect(await run.fetched()).toBeNull();
    expect(book.get(server.url)).toHaveLength(2);
    expect(run.revokes()).toBe(true);
    // The next run begins with the real one.
    expect(contentOf(folder)).toEqual(before);
  });

  test('is of another CA, known or not, clears nobody', async () => {
    for (const anchors of [[root.x509], [root.x509, other.x509]]) {
      const run = await second(await crlOf(other), { anchors: () => anchors });
      expect(run).toMatchObject({ message: null, unchanged: true });
      expect(run.revokes()).toBe(true);
    }
  });

  test('is older than the one on disk is refused', async () => {
    const run = await second(await crlOf(root, { thisUpdate: ago(3 * DAY), nextUpdate: ahead(DAY) }));
    expect(run).toMatchObject({
      message: expect.stringMatching(/, older than the one that is here, of /),
      unchanged: true,
    });
    expect(run.revokes()).toBe(true);
  });

  test('is newer replaces the one on disk', async () => {
    const run = await second(await crlOf(root, { thisUpdate: ago(MINUTE) }));
    expect(run).toMatchObject({ message: null, unchanged: false });
    expect(run.revokes()).toBe(false);
  });
});

describe('the next fetch', () => {
  async function nextAfter(content: Parameters<typeof crlOf>[1]): Promise<number> {
    server.serve(await crlOf(root, content));
    const run = start();
    await run.fetcher.update(new Set([server.url]));
    expect(await run.fetched()).toBeNull();
    return (run.fetcher.states()[0]?.next?.getTime() ?? 0) - Date.now();
  }

  test.each([
    ['a minute later where nextUpdate is over', { thisUpdate: ago(DAY), nextUpdate: ago(HOUR) }, 0.9, 1.01],
    ['a minute later where nextUpdate comes sooner', { thisUpdate: ago(MINUTE), nextUpdate: ahead(1000) }, 0.9, 1.01],
    [
      'before nextUpdate, by a fifth of its time or a little less',
      { thisUpdate: ago(0), nextUpdate: ahead(HOUR) },
      47.9,
      52.1,
    ],
    ['a day later at most', { thisUpdate: ago(0), nextUpdate: ahead(100 * DAY) }, 24 * 60 - 1, 24 * 60],
  ])('is %s', async (_what, content, least, most) => {
    const minutes = (await nextAfter(content)) / MINUTE;
    expect(minutes).toBeGreaterThan(least);
    expect(minutes).toBeLessThan(most);
  });

  test('is at the start where the one on disk is over, and not before its time where it is not', async () => {
    const current = await aRunBefore();
    const asked = server.asked.length;
    const run = start({ folder: current });
    await run.fetcher.update(new Set([server.url]));
    expect(run.fetcher.states()[0]?.next?.getTime()).toBeGreaterThan(Date.now());
    const over = start({ folder: await aRunBefore(OVER) });
    await over.fetcher.update(new Set([server.url]));
    expect(await over.fetched()).toBeNull();
    // Those of the runs before, and this one.
    expect(server.asked.length).toBe(asked + 2);
  });

  test('after a failure is within two minutes, also by a clock that is set back', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const failed = vi.fn<(url: string) => void>();
    const run = start({ connect: () => Promise.reject(new Error('nobody there')), onFailed: failed });
    await run.fetcher.update(new Set(['http://crl.test.example/a.crl']));
    await vi.waitFor(() => expect(failed).toHaveBeenCalledTimes(1));
    vi.setSystemTime(Date.now() - DAY);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    await vi.waitFor(() => expect(failed.mock.calls.length).toBeGreaterThan(1));
  });
});
