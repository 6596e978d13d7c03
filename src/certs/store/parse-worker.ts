/**
 * The thread that parses and edits a large certificates.yaml. It hands its entries over in chunks, each when asked for, so
 * that the main thread copies a few hundred at a time and serves requests in between.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type EditOutcome, editText } from './edit-text.ts';
import type { StoreEdit } from './edit-value.ts';
import { parseStore } from './parse.ts';
import type { ParsedEntry, ParseOutcome } from './parsed.ts';

export interface ParseJob {
  readonly text: string;
  readonly file: string;
  /** Without it the text is parsed only. */
  readonly edit?: StoreEdit;
}

/** The outcome without its entries first; for parsing then the entries in chunks, and null at their end. */
export type ParseMessage =
  | { readonly parsed: ParseOutcome }
  | { readonly edited: EditOutcome }
  | { readonly entries: readonly ParsedEntry[] | null };

/** Copying 500 entries takes the main thread about 2 ms. */
const chunkSize = 500;

function withoutEntries<T extends ParseOutcome | EditOutcome>(outcome: T): T {
  return outcome.ok ? { ...outcome, store: { ...outcome.store, entries: [] } } : outcome;
}

const port = parentPort;
if (port) {
  const { text, file, edit } = workerData as ParseJob;
  const send = (message: ParseMessage) => port.postMessage(message);
  if (edit) send({ edited: withoutEntries(editText(text, edit, file)) });
  else {
    const outcome = parseStore(text, file);
    const entries = outcome.ok ? outcome.store.entries : [];
    let sent = 0;
    port.on('message', () => {
      const chunk = entries.slice(sent, sent + chunkSize);
      sent += chunk.length;
      send({ entries: chunk.length > 0 ? chunk : null });
      if (chunk.length === 0) port.close();
    });
    send({ parsed: withoutEntries(outcome) });
  }
}
