/**
 * The work of one turn of the event loop, kind by kind at its end: all heads are read, then all requests written, then all
 * responses. Each kind finds its code in the processor's caches. And between two writes that are far apart their reader on
 * another core falls asleep, and to wake it costs more than the rest of the write. Figures: docs/performance.md.
 */
interface Work {
  /** Must not throw. */
  onTurnEnd(): void;
}

export type TurnStage = 'read' | 'request' | 'response';

const due: Record<TurnStage, Work[]> = { read: [], request: [], response: [] };
let scheduled = false;
/** More heads than this are read in several rows: what the first of them allocated would have left the caches. */
const MOST_READS = 32;

export function atTurnEnd(work: Work, stage: TurnStage): void {
  if (!scheduled) setImmediate(endTurn);
  scheduled = true;
  due[stage].push(work);
  if (stage === 'read' && due.read.length >= MOST_READS) run('read');
}

function endTurn(): void {
  run('read');
  run('request');
  run('response');
  scheduled = due.read.length + due.request.length + due.response.length > 0;
  if (scheduled) setImmediate(endTurn);
}

function run(stage: TurnStage): void {
  const works = due[stage];
  if (works.length === 0) return;
  due[stage] = [];
  for (const work of works) work.onTurnEnd();
}
