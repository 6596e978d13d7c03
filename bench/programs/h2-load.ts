/** Many streams at once on one HTTP/2 connection, each followed by the next, for some seconds; one report at the end. */
import { connect } from 'node:http2';
import { openTls, type Way } from './tunnel.ts';

interface Options extends Way {
  readonly path: string;
  readonly streams: number;
  readonly seconds: number;
}
export interface H2Report {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
  readonly error: string | null;
}

const { path, streams, seconds, ...way } = JSON.parse(process.argv[2] ?? '') as Options;
const socket = await openTls(way, { ALPNProtocols: ['h2'] });
if (socket.alpnProtocol !== 'h2') throw new Error('the proxy takes no HTTP/2');
const session = connect(`https://${way.host}:${way.port}`, {
  createConnection: () => socket,
  settings: { initialWindowSize: 1 << 20 },
});
session.on('connect', () => session.setLocalWindowSize(64 << 20));
const times: number[] = [];
let failures = 0;
let error: string | null = null;
const until = performance.now() + seconds * 1000;
// What is under way then is not waited for: 100 MB through a slow proxy take a while.
const end = new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const all = Promise.all(
  Array.from({ length: streams }, async () => {
    while (performance.now() < until && failures < 1000) {
      const begun = performance.now();
      try {
        await request();
        times.push(performance.now() - begun);
      } catch (reason) {
        failures += 1;
        error = String(reason);
      }
    }
  }),
);
await Promise.race([all, end]);
times.sort((a, b) => a - b);
const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? NaN;
const report: H2Report = { requests: times.length, p50Ms: at(0.5), p99Ms: at(0.99), failures, error };
console.log(JSON.stringify(report));
process.exit(0);

function request(): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path });
    stream.on('response', (fields) => {
      if (fields[':status'] !== 200) reject(new Error(`status ${fields[':status']}`));
    });
    stream.on('data', () => {});
    stream.on('end', resolve);
    stream.on('error', reject);
    stream.end();
  });
}
