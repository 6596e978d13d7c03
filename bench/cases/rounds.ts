/** Candidates take turns: what disturbs the machine for a while disturbs them all. */
import type { Candidate, Running, StartOptions } from '../candidates/candidate.ts';
import type { Bench } from './case.ts';

export interface Started {
  readonly candidate: Candidate;
  readonly running: Running;
}

export interface Failures {
  /** The reason, in place of a figure. */
  note(candidate: Candidate, error: unknown): void;
  readonly notes: readonly string[];
}

export function failures(bench: Bench): Failures {
  const notes = new Set<string>();
  return {
    note(candidate, error) {
      const text = `${candidate.name}: ${error instanceof Error ? error.message : String(error)}`.replace(/\s+/g, ' ');
      bench.say(`  failed: ${text}`);
      notes.add(`failed: ${text.slice(0, 200)}`);
    },
    get notes() {
      return [...notes];
    },
  };
}

/** All at once, each idle until its turn. @param use is given those that started; they are stopped in any case */
export async function withAll<T>(
  bench: Bench,
  candidates: readonly Candidate[],
  options: StartOptions,
  failed: Failures,
  use: (started: readonly Started[]) => Promise<T>,
): Promise<T> {
  const started: Started[] = [];
  try {
    for (const candidate of candidates) {
      try {
        started.push({ candidate, running: await candidate.start(bench.lab, options) });
      } catch (error) {
        failed.note(candidate, error);
      }
    }
    return await use(started);
  } finally {
    for (const { running } of started) await running.stop();
  }
}

/** One alone, from start to stop; null and a note where it failed. */
export async function withOne<T>(
  bench: Bench,
  candidate: Candidate,
  options: StartOptions,
  failed: Failures,
  use: (running: Running) => Promise<T>,
): Promise<T | null> {
  let running: Running | null = null;
  try {
    running = await candidate.start(bench.lab, options);
    return await use(running);
  } catch (error) {
    failed.note(candidate, error);
    return null;
  } finally {
    await running?.stop();
  }
}

/** Figures by candidate and kind, one for each round. */
export class Figures {
  readonly #values = new Map<string, number[]>();

  add(candidate: Candidate, kind: string, value: number): void {
    const key = `${candidate.name}\n${kind}`;
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  of(candidate: Pick<Candidate, 'name'>, kind: string): readonly number[] {
    return this.#values.get(`${candidate.name}\n${kind}`) ?? [];
  }
}
