/**
 * What is written within one turn of the event loop goes out at its end: first all requests, then all responses. Between two
 * writes that are far apart their reader on another core falls asleep, and to wake it costs more than the rest of the write: a
 * small request takes a third less in this way (docs/performance.md).
 */
interface Flushed {
  /** Must not throw. */
  onTurnEnd(): void;
}

export type MessageKind = 'request' | 'response';

let due: Record<MessageKind, Flushed[]> = { request: [], response: [] };

export function flushAfterTurn(writer: Flushed, kind: MessageKind): void {
  if (due.request.length + due.response.length === 0) setImmediate(flushDue);
  due[kind].push(writer);
}

function flushDue(): void {
  const { request, response } = due;
  due = { request: [], response: [] };
  for (const writer of request) writer.onTurnEnd();
  for (const writer of response) writer.onTurnEnd();
}
