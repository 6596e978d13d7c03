import { setTimeout as sleep } from 'node:timers/promises';
import { startClient } from '../load/client.ts';
import { memory } from '../lab/processes.ts';
import type { IdleReport } from '../programs/idle-clients.ts';
import { bars } from '../report/plot.ts';
import { number } from '../statistics.ts';
import type { Case } from './case.ts';
import { failures, withOne } from './rounds.ts';

interface Row {
  readonly open: number;
  readonly eachKb: number;
  readonly nowMb: number;
}

export const idle: Case = {
  id: 'h',
  title: 'Idle connections',
  async run(bench) {
    const failed = failures(bench);
    const candidates = bench.candidates.filter(({ kind }) => kind !== 'direct');
    const rows = new Map<string, Row>();
    for (const candidate of candidates) {
      // The slow ones would take minutes to open 5,000.
      const connections = bench.quick ? 100 : ['mitmproxy', 'mockttp'].includes(candidate.name) ? 1_000 : 5_000;
      const row = await withOne(bench, candidate, {}, failed, async (running) => {
        const [host, port] = running.at(bench.lab.origin.port).split(':');
        await sleep(1_000);
        const before = memory(running.pid).nowMb;
        const client = startClient<IdleReport>('idle-clients', {
          ...{ proxy: running.port, host, port: Number(port), connections },
        });
        const { open, error } = await client.report();
        if (open < connections) failed.note(candidate, `${connections - open} of ${connections} failed: ${error}`);
        await sleep(3_000);
        const { nowMb } = memory(running.pid);
        await client.program.stop();
        return { open, nowMb, eachKb: ((nowMb - before) * 1024) / open };
      });
      if (!row) continue;
      bench.say(`  ${candidate.name}: ${number(row.eachKb)} KB each of ${row.open}`);
      rows.set(candidate.name, row);
    }
    return {
      how: 'Connections through CONNECT and TLS, used once and left open; the resident memory that they added, three seconds later.',
      tables: [
        {
          head: ['candidate', 'connections', 'memory each, KB', 'in all, MB'],
          rows: candidates.map(({ name }) => {
            const row = rows.get(name);
            return row ? [name, number(row.open), number(row.eachKb), number(row.nowMb)] : [name, 'failed', '–', '–'];
          }),
        },
      ],
      plots: [
        {
          name: 'idle',
          title: 'Memory of an idle connection',
          svg: bars(
            'Memory of an idle connection, KB (shorter is better)',
            ['KB each'],
            candidates.map(({ name }) => ({ name, values: [rows.get(name)?.eachKb ?? NaN] })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};
