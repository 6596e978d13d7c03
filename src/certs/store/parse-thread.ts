/** Parses and edits the store without delaying the event loop, and bounds what a hostile file can cost. */
import { CodedError } from '../../core/errors.ts';
import { WorkerThread } from '../../core/worker.ts';
import type { ParsedEntry, ParseOutcome } from './compile.ts';
import { type Edited, editText } from './edit-text.ts';
import type { StoreEdit } from './edit-value.ts';
import type { ParseAnswer, ParseJob } from './parse-worker.ts';
import { parseStore } from './parse.ts';

/** About 30 entries, parsed in some 5 ms, or 40 ms where all of it is brackets; a thread takes 100 ms to start. */
const PARSED_INLINE_BYTES = 4 * 1024;
/** A text that is edited is a store already, most likely a valid one. */
const EDITED_INLINE_BYTES = 16 * 1024;
/** 10,000 entries have 1.5 MB; this is room for ten times as many. */
const MOST_BYTES = 16 * 1024 * 1024;

/** One for the process: it holds nothing between two jobs, and ends when it is idle. */
const thread = new WorkerThread<ParseJob, ParseAnswer>(new URL('./parse-worker.ts', import.meta.url), {
  // 10,000 entries take about 1.5 s to parse and 5 s to edit on a slow machine.
  timeLimitMs: 30_000,
  // The tree of 16 MiB of YAML has about 600 MB.
  memoryLimitMb: 1024,
});

/** @param before the current entries; those that did not change are used again, which leaves little garbage */
export async function parseOffThread(
  text: string,
  file: string,
  before: readonly ParsedEntry[] = [],
): Promise<ParseOutcome> {
  const failed = (message: string): ParseOutcome => ({
    ok: false,
    problems: [{ file, line: 1, column: 1, message, expected: 'a file that is parsed with modest time and memory' }],
  });
  if (text.length > MOST_BYTES) return failed(`the file has ${text.length} characters, over ${MOST_BYTES}`);
  if (text.length <= PARSED_INLINE_BYTES) return parseStore(text, file);
  try {
    return (await runJob({ text, file }, before)).outcome;
  } catch (error) {
    if (error instanceof CodedError) return failed(error.message);
    throw error;
  }
}

/** @throws CodedError as editText does, and TOO_COSTLY */
export async function editOffThread(text: string, edit: StoreEdit, file: string): Promise<Edited> {
  if (text.length <= EDITED_INLINE_BYTES) return editText(text, edit, file);
  const { text: edited, outcome } = await runJob({ text, file, edit }, []);
  if (!outcome.ok) throw new Error('an edit gives a store or throws');
  return { text: edited, store: outcome.store };
}

async function runJob(job: ParseJob, before: readonly ParsedEntry[]): Promise<ParseAnswer> {
  const entries: ParsedEntry[] = [];
  const take = (part: readonly ParsedEntry[]): void => {
    for (const entry of part) {
      const old = before[entries.length];
      const same = old?.signature === entry.signature && old.line === entry.line && old.column === entry.column;
      entries.push(same ? old : entry);
    }
  };
  const { text, outcome } = await thread.run(job, take);
  return { text, outcome: outcome.ok ? { ok: true, store: { ...outcome.store, entries } } : outcome };
}
