/** Parses the store without holding up the event loop, and bounds what a hostile file can cost. */
import { Worker } from 'node:worker_threads';
import { parseStore } from './parse.ts';
import type { ParseJob, ParseMessage } from './parse-worker.ts';
import type { ParsedEntry, ParseOutcome } from './parsed.ts';

/** About 100 entries, parsed in some 10 ms; a thread costs more than that to start. */
const inlineBytes = 16 * 1024;
/** 10,000 entries have 1.5 MB; this is room for ten times as many. */
export const maxStoreBytes = 16 * 1024 * 1024;
/** 10,000 entries take about 1.5 s on a slow machine. */
const timeLimitMs = 30_000;

export async function parseOffThread(text: string, file: string): Promise<ParseOutcome> {
  if (text.length > maxStoreBytes) {
    const message = `the file has ${text.length} characters`;
    return { ok: false, problems: [{ file, line: 1, column: 1, message, expected: `at most ${maxStoreBytes}` }] };
  }
  return text.length <= inlineBytes ? parseStore(text, file) : parseInWorker({ text, file });
}

function parseInWorker(job: ParseJob): Promise<ParseOutcome> {
  // The same folder holds .ts from a checkout and .js in the package.
  const script = new URL(import.meta.url.endsWith('.ts') ? './parse-worker.ts' : './parse-worker.js', import.meta.url);
  const failed = (message: string): ParseOutcome => ({
    ok: false,
    problems: [
      { file: job.file, line: 1, column: 1, message, expected: 'a file that is parsed with modest time and memory' },
    ],
  });
  return new Promise((resolve) => {
    // A bomb ends this thread and not the daemon.
    const worker = new Worker(script, { workerData: job, resourceLimits: { maxOldGenerationSizeMb: 1024 } });
    const entries: ParsedEntry[] = [];
    let outcome: ParseOutcome | null = null;
    const end = (result: ParseOutcome) => {
      clearTimeout(timer);
      resolve(result);
      void worker.terminate();
    };
    const timer = setTimeout(() => end(failed(`parsing took longer than ${timeLimitMs / 1000} s`)), timeLimitMs);
    worker.on('error', () => end(failed('parsing needs too much memory')));
    worker.on('message', (message: ParseMessage) => {
      if ('outcome' in message) outcome = message.outcome;
      else if (message.entries !== null) entries.push(...message.entries);
      else if (outcome?.ok) return end({ ok: true, store: { ...outcome.store, entries } });
      if (outcome && !outcome.ok) return end(outcome);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for browser windows
      worker.postMessage('next');
    });
  });
}
