/**
 * The same bytes through our readers, node:http's server (llhttp) and undici's client (llhttp in WebAssembly). Ours reads what they
 * read or is the stricter. What it reads and they don't is listed below, with the section that decides it.
 */
import { METHODS } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RequestHead, ResponseHead } from '../../../src/http1/reader.ts';
import { latin1, type Message, type Outcome, readRequests, readResponses } from './feed.ts';
import {
  mutate,
  TARGETS,
  pick,
  randomRequest,
  randomResponse,
  seeded,
  smugglingRequests,
  smugglingResponses,
} from './messages.ts';
import { type PeerOutcome, readRequestsWithNode, UndiciReader } from './peers.ts';

const LIMITS = { headBytes: 64 * 1024 };

interface Difference<H> {
  readonly rule: string;
  /** `last` is the last message that the peer read, `next` the first that only we read, `why` what the peer says to it. */
  readonly applies: (of: { why: string; last?: Message<H>; next?: Message<H>; text: string }) => boolean;
}

const SPACE_AFTER = /\r\n(content-length|transfer-encoding):[^\r\n]*[\t ]\r\n/i;

const REQUEST_DIFFERENCES: readonly Difference<RequestHead>[] = [
  {
    rule: 'any token is a method (RFC 9110 §9.1)',
    applies: ({ why, next }) => why === 'HPE_INVALID_METHOD' && !METHODS.includes(next?.head.method ?? ''),
  },
  {
    rule: 'who answers a request decides which of the forms its target must have (RFC 9112 §3.2)',
    applies: ({ why, next }) => why === 'HPE_INVALID_URL' && !TARGETS.includes(next?.head.target ?? ''),
  },
  {
    rule: 'whitespace around a value is SP or HTAB (RFC 9110 §5.5, §5.6.3)',
    applies: ({ why, text }) => /^HPE_INVALID_(TRANSFER_ENCODING|CONTENT_LENGTH)$/.test(why) && SPACE_AFTER.test(text),
  },
  {
    rule: 'who answers a request decides what its close ends (RFC 9112 §9.6)',
    applies: ({ why, last }) => why === 'HPE_CLOSED_CONNECTION' && last?.head.keepAlive === false,
  },
  {
    rule: 'HTTP/1.1 goes on after an upgrade that is declined (RFC 9110 §7.8)',
    applies: ({ why, last, next }) =>
      why === '' && [last, next].some((message) => has(message?.head.fields, 'upgrade')),
  },
];

const RESPONSE_DIFFERENCES: readonly Difference<ResponseHead>[] = [
  {
    rule: 'whitespace after a value is not part of it, nor of a length (RFC 9112 §5.1)',
    applies: ({ why, text }) => /^$|body length|Content-Length/.test(why) && SPACE_AFTER.test(text),
  },
  {
    rule: 'who asked decides what a close in a 1xx ends (RFC 9112 §9.6)',
    applies: ({ why, last }) => /Data after `Connection: close`/.test(why) && last?.head.keepAlive === false,
  },
  {
    rule: 'a client takes any 1xx that it did not ask for, but 101 (RFC 9110 §15.2)',
    applies: ({ why, next }) => why === 'bad response' && next?.head.status === 100,
  },
  {
    rule: 'who asked decides what an upgrade without a request for it means (RFC 9110 §15.2.2)',
    applies: ({ why, next }) => why === 'bad upgrade' && next?.head.status === 101,
  },
];

function has(fields: readonly string[] | undefined, name: string): boolean {
  return fields?.some((field, i) => i % 2 === 0 && field.toLowerCase() === name) ?? false;
}

/** The rule of the difference where we read more or other than the peer; null where there is none. Throws for an unknown one. */
function difference<H>(
  text: string,
  ours: Outcome<H>,
  read: PeerOutcome['messages'],
  peer: PeerOutcome,
  differences: readonly Difference<H>[],
): string | null {
  const differs = read.findIndex((message, i) => !isDeepStrictEqual(message, peer.messages[i]));
  const missing = peer.refused !== null || read.length < peer.messages.length;
  if (differs < 0 && (ours.error !== null || !missing)) return null;
  const at = differs < 0 ? read.length : differs;
  const of = { why: peer.refused ?? '', last: ours.messages[at - 1], next: ours.messages[at], text };
  const known = differences.find(({ applies }) => applies(of));
  if (known) return known.rule;
  throw new Error(`an unknown difference: ${JSON.stringify({ text, error: ours.error, read, peer })}`);
}

const seen = new Map<string, number>();

function count(rule: string | null): void {
  if (rule !== null) seen.set(rule, (seen.get(rule) ?? 0) + 1);
}

let undici: UndiciReader;
beforeAll(async () => {
  undici = await UndiciReader.start();
});
afterAll(() => undici.stop());

async function compareRequests(text: string): Promise<Outcome<RequestHead>> {
  const ours = readRequests([latin1(text)], true, LIMITS);
  const read = ours.messages.flatMap(({ head, body, trailers }) =>
    trailers ? [{ line: `${head.method} ${head.target} ${head.version}`, fields: head.fields, body, trailers }] : [],
  );
  count(difference(text, ours, read, await readRequestsWithNode(text), REQUEST_DIFFERENCES));
  return ours;
}

async function compareResponses(method: 'GET' | 'HEAD', text: string): Promise<Outcome<ResponseHead>> {
  const ours = readResponses([method], [latin1(text)], true, LIMITS);
  const read = ours.messages.flatMap(({ head, body, trailers }) =>
    trailers || head.status < 200
      ? [
          {
            line: `${head.status} ${latin1(head.reason).toString()}`,
            fields: head.fields,
            body,
            trailers: trailers ?? [],
          },
        ]
      : [],
  );
  count(difference(text, ours, read, await undici.read(method, text), RESPONSE_DIFFERENCES));
  return ours;
}

test('smuggling requests and responses', async () => {
  for (const text of smugglingRequests()) expect((await compareRequests(text)).error).not.toBeNull();
  for (const text of smugglingResponses()) expect((await compareResponses('GET', text)).error).not.toBeNull();
});

test('valid requests', async () => {
  const random = seeded(9112);
  for (let run = 0; run < 1000; run++) {
    const text = Array.from({ length: 1 + random(3) }, () => randomRequest(random)).join('');
    expect((await compareRequests(text)).error, text).toBeNull();
  }
});

test('damaged requests', async () => {
  const random = seeded(9113);
  let refused = 0;
  for (let run = 0; run < 3000; run++) {
    const text = Array.from({ length: 1 + random(3) }, () => randomRequest(random)).join('');
    if ((await compareRequests(mutate(random, text))).error) refused++;
  }
  expect(refused).toBeGreaterThan(1000);
});

test('valid responses', async () => {
  const random = seeded(9110);
  for (let run = 0; run < 500; run++) {
    const text = randomResponse(random);
    expect((await compareResponses('GET', text)).error, text).toBeNull();
    expect((await compareResponses('HEAD', text)).error, text).toBeNull();
  }
});

test('a switch that was not asked for', async () => {
  expect(
    (await compareResponses('GET', 'HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')).error,
  ).toBeNull();
});

test('damaged responses', async () => {
  const random = seeded(9111);
  let refused = 0;
  for (let run = 0; run < 1000; run++) {
    const { error } = await compareResponses(
      pick(random, ['GET', 'GET', 'HEAD']),
      mutate(random, randomResponse(random)),
    );
    if (error) refused++;
  }
  expect(refused).toBeGreaterThan(300);
});

test('each known difference was seen', () => {
  const rules = [...REQUEST_DIFFERENCES, ...RESPONSE_DIFFERENCES].map(({ rule }) => rule);
  expect([...seen.keys()].sort()).toEqual(rules.sort());
});
