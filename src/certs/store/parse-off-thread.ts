/** Parses and edits the store without holding up the event loop, and bounds what a hostile file can cost. */
import { Worker } from 'node:worker_threads';
import { type EditOutcome, editText } from './edit-text.ts';
import { EditError } from './edit-error.ts';
import type { StoreEdit } from './edit-value.ts';
import { parseStore } from './parse.ts';
import type { ParseJob, ParseMessage } from './parse-worker.ts';
import type { ParsedEntry, ParseOutcome } from './parsed.ts';
import { quickParse } from './quick-parse.ts';

/** About 30 entries, parsed in some 5 ms, or 40 ms where all of it is brackets; a thread takes 300 ms to start. */
const parsedInlineBytes = 4 * 1024;
/** A text that is edited is a store already, most likely a valid one. */
const editedInlineBytes = 16 * 1024;
/** 10,000 entries have 1.5 MB; this is room for ten times as many. */
const maxStoreBytes = 16 * 1024 * 1024;
/** 10,000 entries take about 1.5 s to parse and 5 s to edit on a slow machine. */
const timeLimitMs = 30_000;
/** The tree of 16 MiB of YAML has about 600 MB. A bomb ends its thread and not the daemon. */
const memoryLimitMb = 1024;

/** @param before the entries in force */
export async function parseOffThread(
  text: string,
  file: string,
  before?: readonly ParsedEntry[],
): Promise<ParseOutcome> {
  const failed = (message: string): ParseOutcome => ({
    ok: false,
    problems: [{ file, line: 1, column: 1, message, expected: 'a file that is parsed with modest time and memory' }],
  });
  if (text.length > maxStoreBytes) return failed(`the file has ${text.length} characters, over ${maxStoreBytes}`);
  if (text.length <= parsedInlineBytes) return parseStore(text, file);
  const quick = await quickParse(text, file, before);
  if (quick) return { ok: true, store: quick };
  const entries: ParsedEntry[] = [];
  let outcome: ParseOutcome | null = null;
  return inWorker<ParseOutcome>({ text, file }, failed, (message) => {
    if ('parsed' in message) outcome = message.parsed;
    else if ('entries' in message && message.entries !== null) entries.push(...message.entries);
    else return outcome?.ok ? { ok: true, store: { ...outcome.store, entries } } : outcome;
    return outcome?.ok ? null : outcome;
  });
}

/** @returns the outcome; from a thread, its store comes without the entries */
export async function editOffThread(text: string, edit: StoreEdit, file: string): Promise<EditOutcome> {
  if (text.length <= editedInlineBytes) return editText(text, edit, file);
  const failed = (message: string): EditOutcome => {
    const { code, hint, problems } = new EditError('BROKEN_FILE', message, 'make the file smaller');
    return { ok: false, code, message, hint, problems };
  };
  return inWorker<EditOutcome>({ text, file, edit }, failed, (message) =>
    'edited' in message ? message.edited : null,
  );
}

/** @param take gets each message: a result ends the job, null asks for the next one */
function inWorker<T>(
  job: ParseJob,
  failed: (message: string) => T,
  take: (message: ParseMessage) => T | null,
): Promise<T> {
  // The same folder holds .ts from a checkout and .js in the package.
  const script = new URL(import.meta.url.endsWith('.ts') ? './parse-worker.ts' : './parse-worker.js', import.meta.url);
  return new Promise((resolve) => {
    const worker = new Worker(script, { workerData: job, resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb } });
    const end = (result: T) => {
      clearTimeout(timer);
      resolve(result);
      void worker.terminate();
    };
    const timer = setTimeout(() => end(failed(`it takes longer than ${timeLimitMs / 1000} s`)), timeLimitMs);
    worker.on('error', () => end(failed('it takes too much memory')));
    worker.on('message', (message: ParseMessage) => {
      const result = take(message);
      if (result !== null) return end(result);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for browser windows
      return worker.postMessage('next');
    });
  });
}
