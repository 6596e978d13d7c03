/**
 * Client certificates that servers of several makes refuse, each in its own way: which code, which alert, which sentence,
 * what became of the certificate, and that the server's application never saw the request.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, toldOf } from '../support/exchange.ts';
import { ago, createPki, DAY } from '../support/pki.ts';
import { REFUSING, type RefusingKind, type RefusingOrigin } from '../support/refusing.ts';
import { hasTool } from '../support/tools.ts';

type Scenario = 'none' | 'untrusted' | 'expired' | 'eku' | 'key';

/** Alert by version; `silent` where the server just closes, 400 where it answers, `taken` where it does not mind. */
type How = number | 'silent' | 'answer' | 'taken';

// biome-ignore format: a table reads best as a table
const EXPECTED: Record<RefusingKind, Record<Scenario, readonly [tls12: How, tls13: How] | null>> = {
  openssl:       { none: [40, 116], untrusted: [48, 48], expired: [45, 45], eku: [43, 43], key: [40, 116] },
  node:          { none: [40, 116], untrusted: ['silent', 'silent'], expired: ['silent', 'silent'], eku: ['silent', 'silent'], key: [40, 116] },
  go:            { none: [42, 42], untrusted: [42, 42], expired: [42, 42], eku: [42, 42], key: null },
  python3:       { none: [40, 116], untrusted: [48, 48], expired: [45, 45], eku: [43, 43], key: null },
  nginx:         { none: ['answer', 'answer'], untrusted: ['answer', 'answer'], expired: ['answer', 'answer'], eku: ['answer', 'answer'], key: ['answer', 'answer'] },
  'gnutls-serv': { none: [50, 116], untrusted: [49, 49], expired: [49, 49], eku: ['taken', 'taken'], key: [50, 116] },
};

/** Alerts that mean that a certificate is required; for the others it is a guess, and the message says so. */
const PLAIN = new Set<How>([41, 116]);

const HOSTS = ['none', 'good', 'untrusted', 'expired', 'eku', 'key'] as const;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

describe('a server that demands a client certificate', () => {
  const dir = temporaryDirectory();
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root({ cn: 'root' });
    const other = await pki.root({ cn: 'other root' });
    root.write(dir, 'root');
    const eku = ['clientAuth'];
    const past = { notBefore: ago(9 * DAY), notAfter: ago(3 * DAY) };
    (await root.issue({ cn: 'localhost', sans: ['*.test.example'], eku: ['serverAuth'] })).write(dir, 'server');
    (await root.issue({ cn: 'good', eku })).write(dir, 'good');
    (await other.issue({ cn: 'untrusted', eku })).write(dir, 'untrusted');
    (await root.issue({ cn: 'expired', eku, ...past })).write(dir, 'expired');
    (await root.issue({ cn: 'eku', eku: ['serverAuth'] })).write(dir, 'eku');
    (await root.issue({ cn: 'key', eku, key: 'ed25519' })).write(dir, 'key');
    const entries = HOSTS.slice(1).map(
      (name) =>
        `  - { name: ${name}, host: ${name}.test.example, port: "*", cert: ${dir}/${name}.crt, key: ${dir}/${name}.key }`,
    );
    daemon = await startDaemon({
      store: `version: 1\ncertificates:\n${entries.join('\n')}\ntrust: { system: false, ca: [${dir}/root.crt] }\n`,
      settings: `connect_to: { ${HOSTS.map((name) => `${name}.test.example: 127.0.0.1`).join(', ')} }\n`,
    });
  });
  afterAll(async () => {
    await daemon.stop();
  });

  const kinds = (Object.keys(EXPECTED) as RefusingKind[]).filter((kind) => kind === 'node' || hasTool(kind));

  describe.each(kinds)('%s', (kind) => {
    describe.each(VERSIONS)('on %s', (version) => {
      let origin: RefusingOrigin;
      let picky: RefusingOrigin;

      beforeAll(async () => {
        origin = await REFUSING[kind]({ dir, version, noEd25519: false });
        picky = await REFUSING[kind]({ dir, version, noEd25519: true });
      });
      afterAll(async () => {
        await Promise.all([origin.close(), picky.close()]);
      });

      async function sent(name: (typeof HOSTS)[number], to: RefusingOrigin) {
        const path = `/refused/${kind}/${version}/${name}`;
        const authority = `${name}.test.example:${to.port}`;
        const answer = await ask(daemon, authority, { method: 'POST', path, body: 'secret payload' });
        return { answer, ...(await toldOf(daemon, path)), saw: () => to.saw(path) };
      }

      // s_server prints what comes and answers nothing; gnutls-serv echoes, which is no HTTP.
      test.runIf(kind !== 'openssl' && kind !== 'gnutls-serv')('takes the right one', async () => {
        const { answer, connection, saw } = await sent('good', origin);
        expect(answer.status).toBe(200);
        expect(connection?.client_certificate).toMatchObject({ requested: true, sent: true, outcome: 'sent' });
        expect(saw()).toBe(true);
      });

      test.runIf(kind === 'gnutls-serv')('takes what it does not mind', async () => {
        const { exchange, connection, saw } = await sent('eku', origin);
        expect(connection?.client_certificate).toMatchObject({ sent: true, outcome: 'sent', name: 'eku' });
        expect(exchange.error?.code).toBe('RESPONSE_INVALID');
        expect(saw()).toBe(true);
      });

      const rows = (Object.keys(EXPECTED[kind]) as Scenario[]).flatMap((scenario) => {
        const how = EXPECTED[kind][scenario]?.[VERSIONS.indexOf(version)];
        return how === undefined || how === 'taken' ? [] : [{ scenario, how }];
      });
      test.each(rows)('$scenario: $how', async ({ scenario, how }) => {
        const { answer, exchange, connection, saw } = await sent(scenario, scenario === 'key' ? picky : origin);
        const outcome = { none: 'none_configured', key: 'not_sendable' }[scenario as string] ?? 'sent';
        const code = outcome === 'sent' ? 'CLIENT_CERTIFICATE_REFUSED' : 'CLIENT_CERTIFICATE_REQUIRED';
        expect(connection).toMatchObject({
          tls: { protocol: version },
          client_certificate: {
            requested: true,
            sent: outcome === 'sent',
            outcome,
            name: scenario === 'none' ? null : scenario,
          },
        });
        expect(exchange.error?.code).toBe(code);
        expect(exchange.error?.alert?.number ?? null).toBe(typeof how === 'number' ? how : null);
        const { message = '', hint = '' } = exchange.error ?? {};
        expect(message).toMatch(sentenceOf(scenario, how));
        // In TLS 1.2 the alert 40 says so much and more; a close says nothing at all.
        const guessed = (how === 'silent' || typeof how === 'number') && scenario === 'none' && !PLAIN.has(how);
        expect(/probably/.test(message)).toBe(guessed || how === 'silent');
        expect(hint).toMatch(hintOf(scenario, how));
        expect(saw()).toBe(false);

        // The same words in connection record and answer; nginx's own answer passes as it is.
        const expected = how === 'answer' ? expectedOfAnswer() : expectedOfDaemon(answer.body, exchange.error);
        expect({
          status: answer.status,
          event: connection?.event,
          error: connection?.error ?? null,
          body: how === 'answer' ? answer.body.includes('nginx') : answer.body.split('\n')[0],
        }).toEqual(expected);
      });
    });
  });
});

const expectedOfAnswer = () => ({ status: 400, event: 'tls.connected', error: null, body: true });
const expectedOfDaemon = (body: string, error: { readonly code: string; readonly message: string } | null) => ({
  status: 502,
  event: 'tls.failed',
  error: body.includes(`code:        ${error?.code}\n`) ? error : 'another code in the body',
  body: `mtlsd: ${error?.message}`,
});

function sentenceOf(scenario: Scenario, how: How): RegExp {
  if (scenario === 'key') return /got none, since key has a key .*that it does not take/;
  if (scenario === 'none') return /got none/;
  if (how === 'silent') return /was sent \w+, and closed without a word; it probably refused it$/;
  if (how === 'answer') return /\(nginx\) refused the client certificate \w+$/;
  return SENTENCES[how] ?? /^$/;
}

const SENTENCES: Readonly<Record<string, RegExp>> = {
  42: /not valid/,
  43: /of this kind/,
  45: /expired/,
  48: /does not know the CA/,
  49: /denies access/,
};

function hintOf(scenario: Scenario, how: How): RegExp {
  if (scenario === 'key')
    return /^give this host a certificate with a key of a kind that (it|the server) takes.*key\.test\.example:\d+/;
  if (scenario === 'none')
    return /^add a certificate for this host: mtlsd cert add none\.test\.example:\d+ --cert FILE --key FILE$/;
  // A guess has no better advice than to ask.
  return HINTS[how] ?? /^ask the server's operator which CAs? it accepts/;
}

const HINTS: Readonly<Record<string, RegExp>> = {
  43: /^get a certificate with the extended key usage clientAuth/,
  45: /^renew it, and replace its files/,
  48: /^add the intermediates to the certificate's file; else ask the server's operator which CAs it accepts/,
  49: /^ask the server's operator whether it trusts the CA of this certificate/,
};
