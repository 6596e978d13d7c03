import type { Candidate } from '../candidates/candidate.ts';
import type { Lab } from '../lab/lab.ts';

export interface Bench {
  readonly lab: Lab;
  /** Those that this machine has. */
  readonly candidates: readonly Candidate[];
  /** A smoke run: that everything works, not how fast. */
  readonly quick: boolean;
  say(text: string): void;
}

export interface Case {
  /** As on the command line, and in the README. */
  readonly id: string;
  readonly title: string;
  run(bench: Bench): Promise<Section>;
}

/** What a case found, for the README. */
export interface Section {
  /** How it was measured, in a sentence or two. */
  readonly how: string;
  readonly tables: readonly Table[];
  readonly aims?: readonly Aim[];
  readonly plots?: readonly Plot[];
  readonly notes?: readonly string[];
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What mtlsd is meant to reach. */
export interface Aim {
  readonly what: string;
  readonly atMost: number;
  readonly measured: number;
  readonly unit?: string;
}

export interface Plot {
  /** Its name in bench/plots/, without `.svg`. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}
