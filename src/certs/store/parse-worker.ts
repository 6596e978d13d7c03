/**
 * The thread that parses a large certificates.yaml. It hands its entries over in chunks, each when asked for, so that the
 * main thread copies a few hundred at a time and serves requests in between.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { parseStore } from './parse.ts';
import type { ParsedEntry, ParseOutcome } from './parsed.ts';

export interface ParseJob {
  readonly text: string;
  readonly file: string;
}

/** The outcome without its entries first, then the entries in chunks; null ends them. */
export type ParseMessage = { readonly outcome: ParseOutcome } | { readonly entries: readonly ParsedEntry[] | null };

/** Copying 500 entries takes the main thread about 2 ms. */
const chunkSize = 500;

const port = parentPort;
if (port) {
  const { text, file } = workerData as ParseJob;
  const outcome = parseStore(text, file);
  const entries = outcome.ok ? outcome.store.entries : [];
  let sent = 0;
  port.on('message', () => {
    const chunk = entries.slice(sent, sent + chunkSize);
    sent += chunk.length;
    port.postMessage({ entries: chunk.length > 0 ? chunk : null } satisfies ParseMessage);
    if (chunk.length === 0) port.close();
  });
  port.postMessage({
    outcome: outcome.ok ? { ok: true, store: { ...outcome.store, entries: [] } } : outcome,
  } satisfies ParseMessage);
}
