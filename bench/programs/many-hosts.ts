/** A request to each of many hosts, all at once, on a connection each. Runs one pass for each line on stdin, and reports after it. */
import { get, openTls } from './tunnel.ts';

interface Options {
  readonly proxy: number | null;
  readonly hosts: readonly string[];
  readonly port: number;
  readonly passes: number;
}
export interface PassReport {
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
  readonly error: string | null;
}

const { proxy, hosts, port, passes } = JSON.parse(process.argv[2] ?? '') as Options;
for (let pass = 0; pass < passes; pass++) {
  const times: number[] = [];
  let failures = 0;
  let error: string | null = null;
  const begun = performance.now();
  await Promise.all(
    hosts.map(async (host) => {
      try {
        const tls = await openTls({ proxy, host, port });
        await get(tls, `${host}:${port}`, '/1k');
        tls.destroy();
        times.push(performance.now() - begun);
      } catch (reason) {
        failures += 1;
        error = String(reason);
      }
    }),
  );
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? NaN;
  const report: PassReport = { elapsedMs: performance.now() - begun, p50Ms: at(0.5), p99Ms: at(0.99), failures, error };
  console.log(JSON.stringify(report));
  // Anybody who measures reads the proxy's CPU between passes.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
}
process.exit(0);
