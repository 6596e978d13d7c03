/** Opens many connections, sends one request on each, reports, and leaves them idle until it is ended. */
import type { TLSSocket } from 'node:tls';
import { get, openTls } from './tunnel.ts';

interface Options {
  readonly proxy: number | null;
  readonly host: string;
  readonly port: number;
  readonly connections: number;
}
export interface IdleReport {
  readonly open: number;
  readonly elapsedMs: number;
  readonly error: string | null;
}

const { proxy, host, port, connections } = JSON.parse(process.argv[2] ?? '') as Options;
/** At a time: more would measure the listeners' queues. */
const AT_ONCE = 32;
const held: TLSSocket[] = [];
let begun = 0;
let error: string | null = null;
const started = performance.now();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (begun < connections) {
      begun += 1;
      try {
        const tls = await openTls({ proxy, host, port });
        await get(tls, `${host}:${port}`, '/1k');
        tls.on('error', () => {});
        held.push(tls);
      } catch (reason) {
        error = String(reason);
      }
    }
  }),
);
const report: IdleReport = { open: held.length, elapsedMs: performance.now() - started, error };
console.log(JSON.stringify(report));
setInterval(() => undefined, 60_000);
