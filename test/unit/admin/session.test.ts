import { describe, expect, test } from 'vitest';
import { createSessions } from '../../../src/admin/session.ts';
import { Secret } from '../../../src/core/secret.ts';

const TOKEN = 'a token of more than twenty characters';
const HOUR = 3_600_000;

function setUp() {
  const clock = { ms: 0 };
  const sessions = createSessions(new Secret(TOKEN), () => clock.ms);
  const signIn = (): string => {
    const outcome = sessions.signIn(sessions.createCode().code, 'page');
    if (outcome.kind !== 'signed-in') throw new Error(outcome.kind);
    return `mtlsd-session-8741=${outcome.cookie}`;
  };
  return { clock, sessions, signIn };
}

describe('a one-time code', () => {
  test('has 128 bits, is valid once and for 60 seconds', () => {
    const { clock, sessions } = setUp();
    const { code } = sessions.createCode();
    expect(Buffer.from(code, 'base64url')).toHaveLength(16);
    clock.ms += 59_999;
    expect(sessions.signIn(code, 'file').kind).toBe('signed-in');
    expect(sessions.signIn(code, 'file').kind).toBe('wrong');
    const late = sessions.createCode();
    clock.ms += 60_000;
    expect(sessions.signIn(late.code, 'file').kind).toBe('wrong');
  });

  test('is one of sixteen at most: the oldest makes room', () => {
    const { sessions } = setUp();
    const codes = Array.from({ length: 17 }, () => sessions.createCode().code);
    expect(sessions.signIn(codes[0] ?? '', 'page').kind).toBe('wrong');
    expect(sessions.signIn(codes[1] ?? '', 'page').kind).toBe('signed-in');
  });
});

test('the token signs in from the page, and never from a file', () => {
  const { sessions } = setUp();
  expect(sessions.signIn(TOKEN, 'file').kind).toBe('wrong');
  expect(sessions.signIn(TOKEN, 'page').kind).toBe('signed-in');
  expect(sessions.signIn('', 'page').kind).toBe('wrong');
});

test('after ten wrong guesses one in six seconds is heard, right or not; files and page are counted apart', () => {
  const { clock, sessions } = setUp();
  for (let guess = 0; guess < 10; guess++) expect(sessions.signIn('guess', 'file').kind).toBe('wrong');
  const { code } = sessions.createCode();
  expect(sessions.signIn(code, 'file')).toEqual({ kind: 'limited', retryAfterSeconds: 6 });
  expect(sessions.signIn(TOKEN, 'page').kind).toBe('signed-in');
  clock.ms += 6_000;
  expect(sessions.signIn('guess', 'file').kind).toBe('wrong');
  expect(sessions.signIn(code, 'file').kind).toBe('limited');
  clock.ms += 6_000;
  expect(sessions.signIn(code, 'file').kind).toBe('signed-in');
});

describe('a session', () => {
  test('is found by its cookie among others, and by nothing else', () => {
    const { sessions, signIn } = setUp();
    const cookie = signIn();
    expect(sessions.find(`theme=dark; mtlsd-session-1=${'A'.repeat(43)}; ${cookie}`)).not.toBeNull();
    for (const field of [undefined, '', 'mtlsd-session-8741=', `x${cookie}`, cookie.slice(0, -1), `${cookie}A`])
      expect(sessions.find(field), field).toBeNull();
  });

  test('ends after 12 idle hours; each use restarts them', () => {
    const { clock, sessions, signIn } = setUp();
    const cookie = signIn();
    clock.ms += 12 * HOUR - 1;
    const session = sessions.find(cookie);
    clock.ms += 12 * HOUR - 1;
    expect(session?.isLive()).toBe(true);
    clock.ms += 1;
    expect(session?.isLive()).toBe(false);
    expect(session?.ended.aborted).toBe(true);
    expect(sessions.find(cookie)).toBeNull();
  });

  test('ends on sign-out and with the daemon', () => {
    const { sessions, signIn } = setUp();
    const [first, second] = [signIn(), signIn()];
    const session = sessions.find(first);
    if (session) sessions.end(session);
    expect(session?.ended.aborted).toBe(true);
    expect(sessions.find(first)).toBeNull();
    const other = sessions.find(second);
    sessions.close();
    expect(other?.ended.aborted).toBe(true);
    expect(sessions.find(second)).toBeNull();
  });

  test('is one of 64 at most: the one that was idle longest makes room', () => {
    const { clock, sessions, signIn } = setUp();
    const [first, second] = [signIn(), signIn()];
    clock.ms += 1;
    sessions.find(first);
    for (let more = 0; more < 63; more++) signIn();
    expect(sessions.find(second)).toBeNull();
    expect(sessions.find(first)).not.toBeNull();
  });
});
