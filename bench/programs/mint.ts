/** What one leaf costs mtlsd: minting it and making the TLS context with it. Prints microseconds of CPU. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leafCache } from '../../src/certs/local-ca/leaf-cache.ts';
import { openLocalCa } from '../../src/certs/local-ca/local-ca.ts';

const dir = mkdtempSync(join(tmpdir(), 'mtlsd-bench-'));
const { signer } = (await openLocalCa(join(dir, 'ca'))).current;
const leaves = leafCache(() => signer);
const mint = (from: number, to: number): void => {
  for (let i = from; i < to; i++) leaves.contextFor(`h${i}.bench.example`);
};
mint(0, 100); // warm
const before = process.cpuUsage();
mint(100, 1_100);
const { user, system } = process.cpuUsage(before);
rmSync(dir, { recursive: true });
console.log(JSON.stringify((user + system) / 1_000));
