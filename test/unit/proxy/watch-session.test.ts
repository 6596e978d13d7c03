/** How a session that carries streams is found to be dead, whatever Node takes for activity. */
import { EventEmitter } from 'node:events';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchSession } from '../../../src/proxy/h2-session.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Never silent to Node, so that 'timeout' never comes. */
function watched(streams: number, answers: boolean, receivesMore = true) {
  let pings = 0;
  let destroyed = false;
  const session = Object.assign(new EventEmitter(), {
    destroyed: false,
    connecting: false,
    setTimeout: () => {},
    destroy: () => void (destroyed = true),
    ping(answered: () => void) {
      pings += 1;
      if (answers) answered();
    },
  });
  let bytesRead = 0;
  let reads = 0;
  const handle = { readStart: () => void (reads += 1) };
  const socket = Object.assign(new EventEmitter(), { destroy: () => {}, ['_handle']: handle });
  Object.defineProperty(socket, 'bytesRead', { get: () => (receivesMore ? ++bytesRead : 17) });
  watchSession(session as unknown as Http2Session, socket as unknown as Socket, 60_000, () => streams);
  return { pings: () => pings, destroyed: () => destroyed, reads: () => reads };
}

test('a peer that answers no PING is given up, though requests keep coming', () => {
  const { pings, destroyed } = watched(1, false);
  vi.advanceTimersByTime(30_000);
  expect([pings(), destroyed()]).toEqual([1, false]);
  vi.advanceTimersByTime(10_000);
  expect(destroyed()).toBe(true);
});

test('a peer that answers is kept, and one that nobody waits for is not asked', () => {
  const [busy, idle] = [watched(1, true), watched(0, true)];
  vi.advanceTimersByTime(70_000);
  expect([busy.pings(), busy.destroyed()]).toEqual([2, false]);
  expect([idle.pings(), idle.destroyed()]).toEqual([0, false]);
});

test('a silent peer that has answered is not asked again for five minutes, as servers of gRPC count PINGs', () => {
  const { pings, destroyed } = watched(1, true, false);
  vi.advanceTimersByTime(300_000);
  expect(pings()).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect([pings(), destroyed()]).toEqual([2, false]);
});

test.each([0, 1])(
  'a session that stands still is read on with %i streams: Node may have stopped, and not see a reset',
  (streams) => {
    const { reads } = watched(streams, true, false);
    vi.advanceTimersByTime(4_000);
    expect(reads()).toBe(1);
  },
);
