/**
 * A process that opens the store FILE, can no longer read FOLDER after that, and reloads. A root user becomes `nobody` for it,
 * since nothing is forbidden to root. It sends what became of each entry.
 */
import { chmodSync } from 'node:fs';
import { openStore } from '../../../../src/certs/store/store.ts';

const [file = '', folder = ''] = process.argv.slice(2);
const store = await openStore({ file });
chmodSync(folder, 0o000);
if (process.getuid?.() === 0) process.seteuid?.(65_534);
const outcome = await store.reload();
const entries = outcome.ok
  ? outcome.snapshot.entries.map(({ name, identity, problems }) => ({
      name,
      usable: identity !== null,
      problems: problems.map(({ message }) => message),
    }))
  : outcome.problems;
if (process.getuid?.() === 0) process.seteuid?.(0);
chmodSync(folder, 0o700);
process.send?.(entries, () => process.disconnect());
await store.close();
