import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Origin, nodeOrigin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { throughTunnel } from '../support/tunnel.ts';

const GIGABYTE = 1_000_000_000;
const CHUNK = Buffer.alloc(250_000, 'mtlsd streams bodies and keeps none of them. ');

/** Resident memory of a process, in bytes. */
const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

const isLinux = process.platform === 'linux';

describe.runIf(isLinux)('bodies of 1 GB', () => {
  let origin: Origin;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const files = temporaryDirectory();
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    const { keyPem, chainPem } = await root.issue({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({ key: keyPem, cert: chainPem }, (incoming, response) => {
      if (incoming.method === 'GET') {
        const bytes = Number(incoming.url?.slice(1)) || GIGABYTE;
        response.setHeader('content-length', bytes);
        void pipeline(Readable.from(chunks(bytes)), response).catch(() => {});
        return;
      }
      let bytes = 0;
      const hash = createHash('sha256');
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        hash.update(chunk);
      });
      incoming.on('end', () => response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') })));
    });
    daemon = await startDaemon({ store: `version: 1\ntrust: { system: false, ca: [${files}/root.crt] }\n` });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  /** Peak growth while `work` runs. */
  async function growthDuring(work: () => Promise<void>): Promise<number> {
    const pid = daemon.process.pid ?? 0;
    const before = residentBytes(pid);
    let peak = before;
    const sampler = setInterval(() => {
      peak = Math.max(peak, residentBytes(pid));
    }, 50);
    await work();
    clearInterval(sampler);
    return Math.max(peak, residentBytes(pid)) - before;
  }

  const exchangeOverTunnel = async (
    options: { method: string; path?: string; headers?: Record<string, string> },
    body: Iterable<Buffer> | null,
  ) => {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`);
    return new Promise<{ bytes: number; sha256: string; text: string }>((resolve, reject) => {
      const outgoing = request(
        { path: '/', ...options, createConnection: () => socket, host: 'localhost' },
        (response) => {
          const hash = createHash('sha256');
          let bytes = 0;
          let text = '';
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.byteLength;
            hash.update(chunk);
            if (bytes < 10_000) text += chunk.toString();
          });
          response.on('end', () => {
            socket.destroy();
            resolve({ bytes, sha256: hash.digest('hex'), text });
          });
          response.on('error', reject);
        },
      );
      outgoing.on('error', reject);
      if (body) pipeline(Readable.from(body), outgoing).catch(reject);
      else outgoing.end();
    });
  };

  const wanted = hashOf(GIGABYTE);

  test('down: all of it arrives, and memory grows by less than 50 MB', { timeout: 120_000 }, async () => {
    // Compiled code and the first generation of buffers are a fixed cost, which 50 MB bring up; the rest must add nothing.
    await exchangeOverTunnel({ method: 'GET', path: '/50000000' }, null);
    await exchangeOverTunnel({ method: 'PUT' }, chunks(50_000_000));
    let result: { bytes: number; sha256: string } | undefined;
    const growth = await growthDuring(async () => {
      result = await exchangeOverTunnel({ method: 'GET' }, null);
    });
    expect(result).toMatchObject({ bytes: GIGABYTE, sha256: wanted });
    expect(growth).toBeLessThan(50_000_000);
  });

  test('up, with a length and chunked: all of it arrives, and memory grows by less than 50 MB', {
    timeout: 120_000,
  }, async () => {
    for (const headers of [{ 'content-length': String(GIGABYTE) }, {}] as Record<string, string>[]) {
      let answer = '';
      const growth = await growthDuring(async () => {
        answer = (await exchangeOverTunnel({ method: 'PUT', headers }, chunks(GIGABYTE))).text;
      });
      expect(JSON.parse(answer)).toEqual({ bytes: GIGABYTE, sha256: wanted });
      expect(growth).toBeLessThan(50_000_000);
    }
  });

  test('a client that does not read stops the origin', async () => {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`);
    const pid = daemon.process.pid ?? 0;
    const before = residentBytes(pid);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise<void>((resolve) => socket.once('readable', resolve)); // the response has begun; nothing of it is read
    // What would grow has a second's worth of loopback to grow by, several hundred megabytes.
    for (const end = Date.now() + 1000; Date.now() < end; ) await (await daemon.api('/healthz')).text();
    expect(residentBytes(pid) - before).toBeLessThan(50_000_000);
    socket.destroy();
    expect(
      await daemon.event('exchange', (line) => (line.error as { code?: string } | null)?.code === 'CLIENT_GONE'),
    ).toMatchObject({ status: 200 });
  });
});

function* chunks(total: number): Generator<Buffer> {
  for (let left = total; left > 0; left -= CHUNK.byteLength)
    yield left >= CHUNK.byteLength ? CHUNK : CHUNK.subarray(0, left);
}

function hashOf(total: number): string {
  const hash = createHash('sha256');
  for (const chunk of chunks(total)) hash.update(chunk);
  return hash.digest('hex');
}
