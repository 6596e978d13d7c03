import { describe, expect, test } from 'vitest';
import type { Connection, Entry, Exchange, Match, Probe } from '../../../ui/api/document.ts';
import { withParams } from '../../../ui/words/address.ts';
import { recipes } from '../../../ui/words/clients.ts';
import { filesText, lifetimeOf, renewalText } from '../../../ui/words/entry.ts';
import { nextSteps, timingParts, verdictOf, whatHappened } from '../../../ui/words/exchange.ts';
import { filterOf, fits } from '../../../ui/words/filter.ts';
import { matchVerdict } from '../../../ui/words/match.ts';
import { authorityOf, splitPlace } from '../../../ui/words/place.ts';
import { probeVerdict } from '../../../ui/words/probe.ts';
import { ruleEffect } from '../../../ui/words/rule.ts';
import { duration, sentence } from '../../../ui/words/text.ts';
import { connectionRecord, exchangeRecord } from '../../support/records.ts';

const exchange = (change: object = {}): Exchange => ({ ...exchangeRecord({}), ...change });
const connection = (change: object = {}): Connection => ({ ...connectionRecord({}), ...change });
const failed = (code: string, change: object = {}): Exchange =>
  exchange({ status: 502, error: { code, message: 'the reason', hint: 'the hint', alert: null }, ...change });

describe('an exchange in a sentence', () => {
  test('what went well says certificate and verification', () => {
    const own = { ...connection().client_certificate, outcome: 'sent', name: 'alice' };
    const verification = { ...connection().verification, authorized: true, problems: [] };
    const ms = { total: 12, connect: 1, tls: 2, wait: 3 };
    expect(
      whatHappened(
        exchange({ authority: 'api.example:443', status: 200, ms }),
        connection({ client_certificate: own, verification }),
      ),
    ).toBe('api.example answered 200 in 12 ms. The certificate alice was sent. The server is verified.');
  });

  test('what was let through says why', () => {
    const problems = [{ code: 'CERT_HAS_EXPIRED', depth: 0, subject: null, message: 'm', hint: 'h', allowed: true }];
    const verification = { ...connection().verification, authorized: false, rule: 'a.example:443', problems };
    expect(whatHappened(exchange(), connection({ verification }))).toContain(
      'The server is not verified: 1 problem allowed by the rule for a.example:443 (cert has expired).',
    );
  });

  test.each([
    ['CLIENT_CERTIFICATE_REQUIRED', null, 'api.example requires a client certificate, and no entry matches this host.'],
    ['CLIENT_CERTIFICATE_REFUSED', 'alice', 'api.example refused the certificate alice. The reason.'],
    [
      'CLIENT_CERTIFICATE_UNUSABLE',
      'alice',
      "The request was not sent: the certificate alice can't be loaded. The reason.",
    ],
    ['SERVER_CERTIFICATE_REJECTED', null, 'The request was not sent: api.example failed verification. The reason.'],
    ['DNS_FAILED', null, 'The reason.'],
  ])('%s', (code, certificate, text) => {
    expect(whatHappened(failed(code, { authority: 'api.example:443', certificate }), null)).toBe(text);
  });

  test('the verdict of the list is a word with a tone', () => {
    expect(verdictOf(exchange({ authorized: true, error: null }))).toEqual({ tone: 'good', text: 'verified' });
    expect(verdictOf(exchange({ authorized: false, error: null }))).toEqual({ tone: 'warn', text: 'not verified' });
    expect(verdictOf(exchange({ authorized: null, error: null }))).toEqual({ tone: 'plain', text: 'no TLS' });
    expect(verdictOf(failed('TLS_FAILED'))).toEqual({ tone: 'bad', text: 'TLS failed' });
  });
});

describe('the next step', () => {
  const kinds = (record: Exchange, over: Connection | null) => nextSteps(record, over).map(({ kind }) => kind);
  const over = (...codes: string[]): Connection => {
    const problems = codes.map((code) => ({ code, depth: 0, subject: null, message: 'm', hint: 'h' }));
    return connection({ verification: { ...connection().verification, problems } });
  };

  test('a missing certificate is added for that host and port', () => {
    const record = failed('CLIENT_CERTIFICATE_REQUIRED', { authority: '[::1]:8443', certificate: null });
    expect(nextSteps(record, null)[0]).toEqual({ kind: 'add-certificate', host: '::1', port: 8443 });
  });

  test('an unknown CA is trusted; the candidate is the highest of the chain that can be one', () => {
    const record = failed('SERVER_CERTIFICATE_REJECTED', { certificate: null });
    expect(kinds(record, over('SELF_SIGNED_CERT_IN_CHAIN'))).toEqual(['trust-ca', 'report-host', 'probe']);
    expect(kinds(record, over('CERT_HAS_EXPIRED'))).toEqual(['report-host', 'probe']);
    const chain = [{ ca: false, self_signed: false }];
    const [step] = nextSteps(record, {
      ...over('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
      server: { chain },
    } as unknown as Connection);
    expect(step).toEqual({ kind: 'trust-ca', candidate: null });
  });

  test('an unusable certificate is opened, and a refused one replaced', () => {
    expect(kinds(failed('CLIENT_CERTIFICATE_UNUSABLE', { certificate: 'a' }), null)[0]).toBe('open-entry');
    expect(kinds(failed('CLIENT_CERTIFICATE_REFUSED', { certificate: 'a' }), null)).toEqual([
      'open-entry',
      'add-certificate',
      'probe',
    ]);
  });
});

describe('timing', () => {
  const ms = { total: 100, connect: 10, tls: 20, wait: 30 };
  const set = { dns: 5, connect: 10, tls: 20, settle: 0 };

  test('a new connection has its set-up, and what is left over is named as such', () => {
    expect(timingParts(exchange({ ms, reused: false }), connection({ ms: set }))).toEqual([
      { name: 'DNS', ms: 5 },
      { name: 'TCP', ms: 10 },
      { name: 'TLS', ms: 20 },
      { name: 'waiting', ms: 30 },
      { name: 'rest', ms: 35 },
    ]);
  });

  test('a pooled one has none; a measured body is one', () => {
    expect(timingParts(exchange({ ms: { ...ms, body: 40 }, reused: true }), connection({ ms: set }))).toEqual([
      { name: 'waiting', ms: 30 },
      { name: 'body', ms: 40 },
    ]);
  });
});

describe('the filter of the address', () => {
  const hit = (query: string, change: object) => fits(exchange(change), filterOf(new URLSearchParams(query)));
  const record = {
    authority: 'api.example:8443',
    path: '/v1/Orders',
    method: 'POST',
    status: 201,
    certificate: 'alice',
  };

  test.each([
    ['', true],
    ['q=orders', true],
    ['q=post+orders', true],
    ['q=orders+bob', false],
    ['q=201', true],
    ['failed=1', false],
    ['host=api.example', true],
    ['host=api.example:8443', true],
    ['host=api.example:443', false],
    ['certificate=alice', true],
    ['certificate=ali', false],
  ])('%s', (query, expected) => {
    expect(hit(query, { ...record, error: null })).toBe(expected);
  });

  test('a failure is an error, or 500 and above', () => {
    expect(hit('failed=1', { error: null, status: 500 })).toBe(true);
    expect(hit('failed=1', { error: null, status: 499 })).toBe(false);
  });
});

test('addresses keep what they are not told to change', () => {
  expect(withParams('?q=a&failed=1', { failed: null, exchange: 'x-1' })).toBe('/?q=a&exchange=x-1');
  expect(withParams('?q=a', { q: '' })).toBe('/');
});

test.each([
  ['api.example', 'api.example', 443],
  ['api.example:8443', 'api.example', 8443],
  ['https://api.example:8443/path?x', 'api.example', 8443],
  ['*.corp.example:*', '*.corp.example', '*'],
  ['[::1]:8443', '::1', 8443],
  ['2001:db8::1', '2001:db8::1', 443],
] as const)('%s is a host and a port', (text, host, port) => {
  expect(splitPlace(text)).toEqual({ host, port });
  expect(authorityOf(text)).toBe(`${host.includes(':') ? `[${host}]` : host}:${port === '*' ? 443 : port}`);
});

test('a lifetime warns in its last third, and never before its last 30 days', () => {
  const day = 86_400_000;
  const now = Date.parse('2026-06-01T00:00:00Z');
  const facts = (from: number, until: number) =>
    ({
      not_before: new Date(now + from * day).toISOString(),
      not_after: new Date(now + until * day).toISOString(),
    }) as Entry['facts'][number];
  expect(lifetimeOf(facts(-60, 31), null, now)).toMatchObject({ tone: 'good', text: '31 days left' });
  expect(lifetimeOf(facts(-80, 10), null, now)).toMatchObject({ tone: 'warn', text: '10 days left' });
  // Short-lived certificates are young with a few days left.
  expect(lifetimeOf(facts(-1, 6), null, now)).toMatchObject({ tone: 'good' });
  expect(lifetimeOf(facts(-10, -2), null, now)).toEqual({ spent: 1, tone: 'bad', text: 'expired 2 days ago' });
  expect(lifetimeOf({ ...facts(0, 1), not_after: 'unknown' }, null, now)).toBeNull();
});

test('rules say what differs', () => {
  expect(ruleEffect({ host: 'a' })).toBe('Nothing differs.');
  expect(ruleEffect({ host: 'a', mode: 'report' })).toBe('The server is checked, and gets requests with any result.');
  expect(ruleEffect({ host: 'a', allow: ['CERT_HAS_EXPIRED'], min_version: 'TLSv1.3' })).toBe(
    'The server may have CERT_HAS_EXPIRED and speaks TLSv1.3 or newer.',
  );
  expect(ruleEffect({ host: 'a', trust: { system: false, ca: ['x.pem'] } })).toBe(
    'The server is trusted by x.pem alone.',
  );
});

test('clients get the real addresses and paths, quoted for a shell', () => {
  const all = recipes({
    proxy: '127.0.0.1:1234',
    caFile: "/home/o'neil/ca.pem",
    bundleFile: '/home/a b/bundle.pem',
    admin: 'http://127.0.0.1:5',
    passwordRequired: true,
  });
  const code = (wanted: string) => all.find(({ title }) => title === wanted)?.code;
  expect(code('curl')).toContain("--proxy http://mtlsd:PASSWORD@127.0.0.1:1234 --cacert '/home/o'\\''neil/ca.pem'");
  expect(code('Go')).toContain("SSL_CERT_FILE='/home/a b/bundle.pem'");
  expect(code('Browsers')).toContain('http://127.0.0.1:5/proxy.pac');
});

describe('dry runs and probes', () => {
  const match = {
    authority: 'a.example:443',
    action: 'intercept',
    why: 'w',
    error: null,
    certificate: { name: 'alice', reason: 'exact host and port' },
    verification: { mode: 'enforce', rule: null },
  } as unknown as Match;

  test('a match says which certificate and why', () => {
    expect(matchVerdict(match)).toEqual({
      tone: 'good',
      text: 'a.example gets alice if it asks for a certificate: Exact host and port. Its server has to pass verification.',
    });
    const error = { code: 'POLICY_REFUSED', message: 'no entry', hint: 'add one' };
    expect(matchVerdict({ ...match, error }).tone).toBe('bad');
    expect(matchVerdict({ ...match, action: 'passthrough' }).text).toContain('pass through untouched');
  });

  test('a probe says whether a request would get through', () => {
    const probe = {
      authority: 'a.example:443',
      error: null,
      attempts: [],
      certificate: { name: 'alice', usable: true },
      verification: { authorized: true, mode: 'enforce', problems: [] },
      client_certificate: { requested: true, required: true, ours: 'accepted' },
    } as unknown as Probe;
    expect(probeVerdict(probe)).toEqual({
      tone: 'good',
      text: 'A request would get through with the certificate alice. a.example is verified.',
    });
    expect(
      probeVerdict({ ...probe, verification: { ...probe.verification, authorized: false, problems: [{}] } } as never)
        .tone,
    ).toBe('bad');
    const report = { ...probe.verification, authorized: false, mode: 'report' as const };
    expect(probeVerdict({ ...probe, verification: report }).tone).toBe('warn');
    const refused = { ...probe.client_certificate, ours: 'refused' };
    expect(probeVerdict({ ...probe, client_certificate: refused }).text).toContain('refuses alice');
    expect(probeVerdict({ ...probe, error: 'ECONNREFUSED' }).text).toBe("a.example can't be reached.");
  });
});

test('an entry: where it comes from, and its renewal', () => {
  const entry = { cert: 'a.crt', key: 'a.key', pfx: null, alias: null, renew: null, renewal: null };
  const text = (more: object) => filesText({ ...entry, ...more } as unknown as Entry);
  expect(text({})).toBe('a.crt and a.key');
  expect(text({ cert: { env: 'CERT' }, key: null })).toBe('the variable CERT');
  expect(text({ cert: null, key: null, pfx: { command: ['op', 'read'], refresh: '15m' } })).toBe(
    'the command op read, again every 15m',
  );
  expect(renewalText(entry)).toBeNull();
  const renewal = {
    last: null,
    next: null,
    failures: 1,
    last_error: 'it is down',
    fingerprint_before: null,
    fingerprint_after: null,
  };
  expect(renewalText({ renew: { est: 'https://ca' }, renewal })).toBe('from https://ca; it is down');
});

test('small words', () => {
  expect([sentence('the store changed'), sentence('Why?'), sentence('done.')]).toEqual([
    'The store changed.',
    'Why?',
    'Done.',
  ]);
  expect([0.44, 9.96, 12.4, 999, 1_240, 12_300].map(duration)).toEqual([
    '0.4 ms',
    '10 ms',
    '12 ms',
    '999 ms',
    '1.24 s',
    '12.3 s',
  ]);
});
