/** The thread that parses and edits a large certificates.yaml: 10,000 entries take a second. */
import { type HandOver, serveJobs } from '../../core/worker.ts';
import type { ParsedEntry, ParsedStore, ParseOutcome } from './compile.ts';
import { editText } from './edit-text.ts';
import type { StoreEdit } from './edit-value.ts';
import { parseStore } from './parse.ts';

export interface ParseJob {
  readonly text: string;
  readonly file: string;
  /** Without it the text is parsed only. */
  readonly edit?: StoreEdit;
}

/** The store comes without its entries, which are handed over before. */
export interface ParseAnswer {
  readonly outcome: ParseOutcome;
  /** The edited text. */
  readonly text: string;
}

/** Copying 500 entries takes the main thread about 2 ms. */
const CHUNK = 500;

serveJobs<ParseJob, ParseAnswer, readonly ParsedEntry[]>(async ({ text, file, edit }, handOver) => {
  if (edit) {
    const edited = editText(text, edit, file);
    return { text: edited.text, outcome: { ok: true, store: await withoutEntries(edited.store, handOver) } };
  }
  const outcome = parseStore(text, file);
  return { text, outcome: outcome.ok ? { ok: true, store: await withoutEntries(outcome.store, handOver) } : outcome };
});

async function withoutEntries(store: ParsedStore, handOver: HandOver<readonly ParsedEntry[]>): Promise<ParsedStore> {
  for (let at = 0; at < store.entries.length; at += CHUNK) await handOver(store.entries.slice(at, at + CHUNK));
  return { ...store, entries: [] };
}
