/** What is tried for long: a run throws where the daemon did what it must not, and says what was counted. */
export interface Scenario {
  readonly name: string;
  /** @param scale of the full run, 1 */
  run(scale: number): Promise<Figures>;
}

/** Counts and measurements, with their units in their names. */
export type Figures = Readonly<Record<string, number>>;

export const scaled = (full: number, scale: number, least = 1): number => Math.max(least, Math.round(full * scale));

/** @throws Error that names every figure that is not what it must be */
export function assertFigures(figures: Figures, must: Figures): Figures {
  const wrong = Object.entries(must).filter(([name, value]) => figures[name] !== value);
  if (wrong.length === 0) return figures;
  const names = wrong.map(([name, value]) => `${name} is ${figures[name]} and must be ${value}`);
  throw new Error(`${names.join(', ')}; ${JSON.stringify(figures)}`);
}

/** Starts so many jobs, at most `lanes` at a time. */
export async function inLanes(jobs: number, lanes: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(lanes, jobs) }, async () => {
      while (next < jobs) await run(next++);
    }),
  );
}
