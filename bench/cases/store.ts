import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { StoreRow } from '../store.ts';
import { median, number } from '../statistics.ts';
import type { Case } from './case.ts';

export const store: Case = {
  id: 'e',
  title: 'Large stores',
  run(bench) {
    const rounds = bench.quick ? 1 : 3;
    const sizes = bench.quick ? [10, 1_000] : [10, 1_000, 10_000];
    const rows = sizes.map((size) => {
      const found = Array.from({ length: rounds }, () => {
        const row = JSON.parse(
          execFileSync(process.execPath, [join(import.meta.dirname, '../store.ts'), String(size)], {
            encoding: 'utf8',
          }),
        ) as StoreRow;
        bench.say(`  ${size} entries: loaded in ${number(row.loadMs)} ms`);
        return row;
      });
      const middle = (kind: keyof StoreRow): number => median(found.map((row) => row[kind]));
      return [
        number(size),
        number(middle('loadMs')),
        number(middle('lookupUs'), 2),
        number(middle('reloadMs')),
        number(middle('blockedMs')),
        number(middle('editMs')),
        number(middle('editBlockedMs')),
      ];
    });
    return Promise.resolve({
      how: `mtlsd's store alone, ${rounds} rounds each in a new process; [store.md](store.md) explains the figures.`,
      tables: [
        {
          head: [
            'entries',
            'load, ms',
            'look-up, µs',
            'reload after a hand edit, ms',
            'loop held up, ms',
            'edit by program, ms',
            'loop held up, ms',
          ],
          rows,
        },
      ],
    });
  },
};
