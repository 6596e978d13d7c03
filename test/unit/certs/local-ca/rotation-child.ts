/**
 * A process that begins, finishes or cancels a rotation of the CA in DIR and ends itself by SIGKILL in front of the WRITEth
 * renaming or removing of a file. It tells the fingerprints of both CAs before.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Rotation } from '../../../../src/certs/local-ca/state.ts';

const [dir = '', action = '', write = ''] = process.argv.slice(2);
let left = Infinity;
const { renameSync } = fs;
const { rm } = fsPromises;
const count = (): void => {
  if (left-- === 0) process.kill(process.pid, 'SIGKILL');
};
fs.renameSync = (...names) => {
  count();
  renameSync(...names);
};
fsPromises.rm = (...names) => {
  count();
  return rm(...names);
};
syncBuiltinESMExports();

const { openLocalCa } = await import('../../../../src/certs/local-ca/local-ca.ts');
const ca = await openLocalCa(dir);
if (action !== 'begin') await ca.rotation?.begin(3_600_000);
const both = ca.current.anchors.map(({ fingerprint256 }) => fingerprint256);
await new Promise((resolve) => process.send?.(both, resolve));
left = Number(write);
await ca.rotation?.[action as keyof Rotation](3_600_000);
process.exit(0);
