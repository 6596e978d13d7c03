/**
 * The stream of events, by fetch: unlike EventSource it shows why it was refused, hands over whole pieces at once, and goes
 * on after any event. What the page can't take in time, the daemon leaves out and counts.
 */
import { EventParser, type StreamEvent } from '../../src/core/event-stream.ts';

export type LinkState = 'connecting' | 'live' | 'down' | 'signed-out';

export interface LiveOptions {
  readonly onState: (state: LinkState) => void;
  readonly onEvents: (events: readonly StreamEvent[]) => void;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 2_000;

/** Runs until the session is refused; then call it again after signing in. */
export async function follow({ onState, onEvents }: LiveOptions, lastId: { value: string }): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  for (;;) {
    try {
      const response = await fetch('/api/v1/events', {
        headers: lastId.value === '' ? {} : { 'last-event-id': lastId.value },
      });
      if (response.status === 401 || response.status === 403) return onState('signed-out');
      if (response.ok && response.body) {
        onState('live');
        waitMs = FIRST_WAIT_MS;
        await read(response.body, onEvents, lastId);
      }
    } catch {
      // Not there, or gone in the middle of it: the same to do.
    }
    onState('down');
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
  }
}

async function read(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  onEvents: LiveOptions['onEvents'],
  lastId: { value: string },
): Promise<void> {
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = parser.push(value);
    lastId.value = events.findLast(({ id }) => id !== '')?.id ?? lastId.value;
    if (events.length > 0) onEvents(events);
  }
}
