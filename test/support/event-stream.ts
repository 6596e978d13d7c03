/** Server-sent events of a daemon, waited for and never slept for. */
import type { RunningDaemon } from './daemon.ts';

export interface ReceivedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

export interface EventStream {
  readonly status: number;
  readonly type: string | null;
  /** Comments so far. */
  readonly comments: () => number;
  /** The next event that fits; those before it are passed over. */
  next(fits?: (event: ReceivedEvent) => boolean): Promise<ReceivedEvent>;
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

export async function openEvents(
  daemon: Pick<RunningDaemon, 'api'>,
  query = '',
  headers: Record<string, string> = {},
): Promise<EventStream> {
  const abort = new AbortController();
  const response = await daemon.api(`/api/v1/events${query}`, { headers, signal: abort.signal });
  const waiting: ReceivedEvent[] = [];
  let comments = 0;
  let wake = (): void => {};
  const read = async (): Promise<void> => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      const blocks = (rest + decoder.decode(piece as Uint8Array, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        if (block.startsWith(':')) comments++;
        else {
          const fields = Object.fromEntries(
            block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)),
          ) as Record<string, string>;
          waiting.push({
            id: fields.id ?? '',
            event: fields.event ?? '',
            data: JSON.parse(fields.data ?? '{}') as Record<string, unknown>,
          });
        }
        wake();
      }
    }
  };
  const ended = read().catch(() => {});
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    comments: () => comments,
    ended,
    async next(fits = () => true) {
      for (;;) {
        const event = waiting.shift();
        if (event && fits(event)) return event;
        if (!event) await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    close: () => abort.abort(),
  };
}
