/**
 * Host names to addresses, as the system resolves them (hosts file, nsswitch, resolv.conf). getaddrinfo blocks a thread until the
 * name servers answer, and only half of libuv's threads resolve names. So all dials to a host share one look-up: a host whose
 * name servers hang blocks one thread, however many requests wait for it. bin/mtlsd.js gives a daemon 32 threads.
 */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Callback = Parameters<LookupFunction>[2];

/** By host. Module-level, since the threads are the process's. Its bound is that of the dials. */
const underWay = new Map<string, Callback[]>();

export const sharedLookup: LookupFunction = (host, options, callback) => {
  const waiting = underWay.get(host);
  if (waiting) {
    waiting.push(callback);
    return;
  }
  const callbacks = [callback];
  underWay.set(host, callbacks);
  lookup(host, options, (...answer) => {
    underWay.delete(host);
    for (const each of callbacks) each(...answer);
  });
};
