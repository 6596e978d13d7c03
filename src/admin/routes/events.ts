/** Exchanges and connections as they come, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
import { randomBytes } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Boundary } from '../../core/boundary.ts';
import type { RecordedEvent } from '../../inspect/records/recorder.ts';
import { whoOf } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { withApiHints } from '../hints.ts';
import { AdminError } from '../problem.ts';
import type { Session } from '../session.ts';
import { closed, failures } from '../schemas/common.ts';

/** For pages and terminals; each holds a socket and a queue. */
const MOST_SUBSCRIBERS = 64;
/** A subscriber that does not read holds this many references to records that are kept anyway. */
const MOST_QUEUED = 1000;
/** Below what proxies and load balancers give an idle connection, which is 30 s and more. */
const HEARTBEAT_MS = 15_000;
/** A subscriber that reads nothing for this long has stopped, and another may need its place. */
const STALL_MS = 60_000;

/** How soon a page shows that the store was edited manually. */
const STORE_LOOK_MS = 1_000;

const LAST_EVENT_ID = /^([0-9a-f]{8})-(\d{1,15})$/;

export const eventRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  // Sequence numbers begin again with the daemon: one of another run would name another event.
  const run = randomBytes(4).toString('hex');
  let subscribers = 0;

  app.get(
    '/api/v1/events',
    {
      // HEAD would open a stream that nobody reads.
      exposeHeadRoute: false,
      schema: {
        operationId: 'events',
        summary: 'Records as they come, as server-sent events',
        description:
          'Events `exchange`, `tls.connected` and `tls.failed`, whose data is the record as JSON, and `lost` with `{"count": N}` where the subscriber was too slow or what it missed is no longer kept. `store` with `{"generation": N, "rejected": false}` tells that another store is in force, or that the file has a mistake. `Last-Event-ID` goes on after that event; `last` begins with so many of the recent ones. A comment comes every 15 seconds.',
        tags: ['records'],
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 64 })) }),
        querystring: Type.Object(
          {
            last: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: 10_000,
                description: 'Begin with so many of the recent events.',
                errorMessage: 'a number from 0 to 10000',
              }),
            ),
          },
          closed,
        ),
        response: {
          200: { description: 'The stream.', content: { 'text/event-stream': { schema: Type.String() } } },
          ...failures,
        },
      },
    },
    (request, reply) => {
      if (subscribers >= MOST_SUBSCRIBERS)
        throw new AdminError(
          'BUSY',
          `${subscribers} others are listening already`,
          'close one of them: each open page and each program that reads events counts',
        );
      reply.hijack();
      const { raw } = reply;
      const inside = new Boundary('admin', context.report, () => raw.destroy());
      const isCli = whoOf(request).who === 'cli';
      inside.enter(() => stream(request, reply, inside, isCli));
    },
  );

  function stream(
    { headers, query, session }: StreamRequest,
    reply: FastifyReply,
    inside: Boundary,
    isCli: boolean,
  ): void {
    const { recorder, heartbeatMs = HEARTBEAT_MS, stallMs = STALL_MS } = context;
    const { raw } = reply;
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    raw.write(': mtlsd\n\n');
    const after = startOf(headers['last-event-id'], query.last, recorder.stats.sequence, run);
    const subscription = recorder.subscribe({
      onEvent: inside.guard((event: RecordedEvent) => raw.write(frame(event, run, isCli))),
      onLost: inside.guard((count: number) => raw.write(`event: lost\ndata: ${JSON.stringify({ count })}\n\n`)),
      maxQueued: MOST_QUEUED,
      ready: () => !raw.writableNeedDrain,
      ...(after !== null && { after }),
    });
    let stalledMs = 0;
    const beat = (): void => {
      // An open stream does not extend the session, so that an unattended page is signed out.
      if (session?.isLive() === false) return;
      stalledMs = raw.writableNeedDrain ? stalledMs + heartbeatMs : 0;
      if (stalledMs === 0) raw.write(': alive\n\n');
      else if (stalledMs >= stallMs) raw.destroy();
    };
    const heartbeat = setInterval(inside.guard(beat), heartbeatMs);
    let sent = context.store.lastRejection ?? context.store.current;
    const sendStore = (): void => {
      const { lastRejection, current } = context.store;
      const now = lastRejection ?? current;
      if (now === sent || raw.writableNeedDrain) return;
      sent = now;
      const data = { generation: current.generation, rejected: lastRejection !== null };
      raw.write(`event: store\ndata: ${JSON.stringify(data)}\n\n`);
    };
    const storeLook = setInterval(inside.guard(sendStore), STORE_LOOK_MS);
    const signedOut = (): unknown => raw.destroy();
    session?.ended.addEventListener('abort', signedOut);
    subscribers++;
    raw.on('drain', () => subscription.resume());
    raw.on('error', () => {}); // a reader that left; close follows
    raw.on('close', () => {
      subscribers--;
      clearInterval(heartbeat);
      clearInterval(storeLook);
      session?.ended.removeEventListener('abort', signedOut);
      subscription.close();
    });
  }
};

interface StreamRequest {
  readonly headers: { readonly 'last-event-id'?: string };
  readonly query: { readonly last?: number };
  readonly session: Session | null;
}

function frame({ sequence, record }: RecordedEvent, run: string, isCli: boolean): string {
  const hasHints = record.event !== 'exchange' || record.error !== null;
  const shown = hasHints && !isCli ? withApiHints(record) : record;
  return `id: ${run}-${sequence}\nevent: ${record.event}\ndata: ${JSON.stringify(shown)}\n\n`;
}

/** The sequence number after which to begin; null for now. */
function startOf(id: string | undefined, last: number | undefined, now: number, run: string): number | null {
  const [, ofRun, sequence] = LAST_EVENT_ID.exec(id ?? '') ?? [];
  if (ofRun === run) return Math.min(Number(sequence), now);
  // Of a run before this one: everything since is news.
  if (ofRun !== undefined) return 0;
  return last === undefined ? null : Math.max(0, now - last);
}
