/** A CA that answers with anything at all: nothing changes, the error says what was wrong, and it ends in time. */
import type { ServerResponse } from 'node:http';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RenewalFault, RENEWAL_FAULTS } from '../../../../src/certs/renewal/fault.ts';
import type { RenewalTarget } from '../../../../src/certs/renewal/target.ts';
import { type EstServer, type EstRequest, estServer } from '../../../support/est-server.ts';
import { ago, ahead, type Authority, createPki, DAY, HOUR, type Issued, type Pki } from '../../../support/pki.ts';
import { freePort } from '../../../support/ports.ts';
import { benchOf, type BenchOptions, entryOf, folderFor, writePair } from './support.ts';

let pki: Pki;
let root: Authority;
let issuer: Authority;
let other: Authority;
let present: Issued;
let est: EstServer;

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root();
  issuer = await root.intermediate();
  other = await pki.root({ cn: 'another root' });
  present = await issuer.issue({
    cn: 'me',
    sans: ['me.example', 'other.example'],
    notAfter: ahead(2 * DAY),
    freshKey: true,
  });
  est = await estServer({ root, issuer, lifetimeMs: 30 * DAY });
});
afterAll(() => est.close());
beforeEach(() => {
  est.misbehave = null;
  est.differ = {};
});

interface Setting extends BenchOptions {
  readonly url?: string;
}

/** Tries to renew, and gives the fault; the files have to be as they were. */
async function failure({ url = est.url, ...options }: Setting = {}): Promise<RenewalFault> {
  const folder = folderFor();
  const target: RenewalTarget = { kind: 'pem', ...writePair(folder, present), passphrase: null };
  const entry = await entryOf({ via: { kind: 'est', url }, target, root, folder });
  const bench = benchOf(folder, options);
  await bench.renewer.update([entry]);
  const fault = await bench.renewer.renew('me').then(
    () => {
      throw new Error('it was renewed');
    },
    (error: RenewalFault) => error,
  );
  expect(Object.keys(RENEWAL_FAULTS)).toContain(fault.code);
  expect(readFileSync(target.cert, 'utf8')).toBe(present.chainPem);
  expect(readFileSync(join(folder, 'me.key'), 'utf8')).toBe(present.keyPem);
  expect(readdirSync(folder).sort()).toEqual(['me.crt', 'me.key', 'renewals.json']);
  expect(bench.reloads()).toBe(0);
  const status = bench.renewer.statusOf('me');
  expect(status).toMatchObject({ last: null, last_error: fault.message, failures: 1 });
  expect(bench.failed).toMatchObject([
    { name: 'me', code: fault.code, message: fault.message, hint: fault.hint, failures: 1 },
  ]);
  return fault;
}

const answering = (write: (response: ServerResponse, request: EstRequest) => void | Promise<void>) => {
  est.misbehave = write;
  return failure();
};
const pkcs7 = { 'content-type': 'application/pkcs7-mime; smime-type=certs-only' };

describe('an answer that is no certificate', () => {
  test.each<[string, (response: ServerResponse) => void, code: string, message: RegExp]>([
    [
      'a refusal with words',
      (r) => r.writeHead(403, { 'content-type': 'text/plain' }).end('not you\nnor\u202e them'),
      'CA_REFUSED',
      /answered 403: not you\\u000anor\\u202e them$/,
    ],
    [
      'a refusal as a page',
      (r) => r.writeHead(403, { 'content-type': 'text/html' }).end('<html>'),
      'CA_REFUSED',
      /answered 403$/,
    ],
    ['a server that is broken', (r) => r.writeHead(500).end(), 'CA_REFUSED', /answered 500 without a word$/],
    ['not found', (r) => r.writeHead(404).end(), 'CA_REFUSED', /answered 404/],
    [
      'a redirect',
      (r) => r.writeHead(302, { location: 'https://evil.example/x' }).end(),
      'CA_REFUSED',
      /302, a redirect to https:\/\/evil.example\/x; redirects are not followed/,
    ],
    ['a redirect to nowhere', (r) => r.writeHead(301).end(), 'CA_REFUSED', /301, a redirect to nowhere/],
    [
      'another type',
      (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('AAAA'),
      'CA_ANSWER_INVALID',
      /answered with text\/html/,
    ],
    ['no type', (r) => r.writeHead(200).end('AAAA'), 'CA_ANSWER_INVALID', /answered with no type/],
    ['nothing', (r) => r.writeHead(200, pkcs7).end(), 'CA_ANSWER_INVALID', /not base64/],
    ['text', (r) => r.writeHead(200, pkcs7).end('<html>'), 'CA_ANSWER_INVALID', /not base64/],
    ['base64 of something', (r) => r.writeHead(200, pkcs7).end('AAAA'), 'CA_ANSWER_INVALID', /not a PKCS#7 message/],
    [
      'more than is taken',
      (r) => r.writeHead(200, pkcs7).end('A'.repeat(2_000_000)),
      'CA_ANSWER_INVALID',
      /more than 256 KiB/,
    ],
    [
      'a body that ends too soon',
      (r) => {
        r.writeHead(200, { ...pkcs7, 'content-length': 100 }).write('AAAA');
        setImmediate(() => r.destroy());
      },
      'CA_UNREACHABLE',
      /closed the connection/,
    ],
    ['a connection that ends', (r) => void r.destroy(), 'CA_UNREACHABLE', /closed the connection/],
  ])('%s', async (_name, write, code, message) => {
    expect(await answering(write)).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  test('bytes without end: they end at the limit of size', async () => {
    const fault = await answering((response) => {
      response.writeHead(200, pkcs7);
      const write = (): void =>
        void (response.destroyed || response.write('A'.repeat(65_536), () => setImmediate(write)));
      write();
    });
    expect(fault.code).toBe('CA_ANSWER_INVALID');
  });
});

describe('a CA that takes its time', () => {
  const timeoutMs = 300;

  test('no answer', async () => {
    est.misbehave = () => undefined;
    expect(await failure({ timeoutMs })).toMatchObject({
      code: 'CA_TIMEOUT',
      message: expect.stringMatching(/did not answer in time/) as string,
    });
  });

  test('a byte now and then', async () => {
    est.misbehave = (response) => {
      response.writeHead(200, pkcs7);
      const timer = setInterval(() => response.write('A'), 20);
      response.on('close', () => clearInterval(timer));
    };
    expect((await failure({ timeoutMs })).code).toBe('CA_TIMEOUT');
  });

  test('a connection that never comes to be', async () => {
    expect((await failure({ timeoutMs, connect: () => new Promise<Socket>(() => undefined) })).code).toBe('CA_TIMEOUT');
  });

  test('a connection that comes too late is closed', async () => {
    let late: Socket | null = null;
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const gone = new Promise<void>((resolve) =>
      server.on('connection', (socket) =>
        socket
          .on('error', () => undefined)
          .resume()
          .on('close', resolve),
      ),
    );
    let open = (): void => undefined;
    const connecting = new Promise<Socket>((resolve) => {
      open = () => {
        late = connect((server.address() as { port: number }).port, '127.0.0.1', () => resolve(late as Socket));
      };
    });
    expect((await failure({ timeoutMs, connect: () => connecting })).code).toBe('CA_TIMEOUT');
    open();
    await gone;
    server.close();
  });
});

describe('a CA that can not be reached', () => {
  test('no server listens', async () => {
    expect((await failure({ url: `https://localhost:${await freePort()}/.well-known/est` })).code).toBe(
      'CA_UNREACHABLE',
    );
  });

  test('it speaks something else', async () => {
    const server = createServer((socket) => {
      // Not before it is asked: the answer would be there before the question.
      socket.on('error', () => undefined).once('data', () => socket.write('SSH-2.0-x\r\n'));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const fault = await failure({
      connect: () =>
        new Promise((resolve) => {
          const socket = connect((server.address() as { port: number }).port, '127.0.0.1', () => resolve(socket));
        }),
    });
    expect(fault).toMatchObject({ code: 'CA_ANSWER_INVALID', message: expect.stringMatching(/not HTTP/) as string });
    server.close();
  });
});

describe('a certificate that is not the one asked for', () => {
  const issuing = (differ: EstServer['differ']) => {
    est.differ = differ;
    return failure();
  };
  const sending = (pems: (request: EstRequest) => Promise<readonly string[]>) =>
    answering(async (response, request) => est.answer(response, await pems(request)));

  test('another subject', async () => {
    expect(await issuing({ subject: 'CN=you' })).toMatchObject({
      code: 'SUBJECT_DIFFERS',
      message: 'the certificate that came is for CN=you, not CN=me',
    });
  });

  test('fewer names', async () => {
    expect(await issuing({ extensions: [], sans: ['me.example'] })).toMatchObject({
      code: 'NAMES_MISSING',
      message: expect.stringMatching(/not for DNS:other\.example/) as string,
    });
  });

  test('for servers alone', async () => {
    expect(await issuing({ eku: ['serverAuth'] })).toMatchObject({
      code: 'NOT_CLIENT_CERTIFICATE',
      message: expect.stringMatching(/for serverAuth, not for clientAuth/) as string,
    });
  });

  test('of a CA', async () => {
    expect((await issuing({ ca: true })).code).toBe('NOT_CLIENT_CERTIFICATE');
  });

  test('expired', async () => {
    expect((await issuing({ notBefore: ago(2 * HOUR), notAfter: ago(HOUR) })).code).toBe('NOT_LATER');
  });

  test('that ends when the present one does', async () => {
    expect(await issuing({ notAfter: present.x509.validToDate })).toMatchObject({
      code: 'NOT_LATER',
      message: expect.stringMatching(/not later than the present one/) as string,
    });
  });

  test('that begins tomorrow', async () => {
    expect((await issuing({ notBefore: ahead(DAY) })).code).toBe('NOT_VALID_NOW');
  });

  test('for another key', async () => {
    const mine = await issuer.issue({ cn: 'me', freshKey: true });
    expect((await sending(async () => [mine.certPem])).code).toBe('KEY_MISMATCH');
  });

  test("another CA's", async () => {
    const fault = await sending(async ({ request }) => {
      const names = request.extensions.filter(({ type }) => type === '2.5.29.17');
      const foreign = await other.issue({
        subject: 'CN=me',
        publicKey: request.publicKey,
        extensions: names,
        sans: [],
        notAfter: ahead(9 * DAY),
      });
      return [foreign.certPem];
    });
    expect(fault).toMatchObject({
      code: 'CHAIN_INCOMPLETE',
      message: expect.stringMatching(/issuer CN=another root is missing/) as string,
    });
  });

  test("another CA's with its root beside it", async () => {
    const fault = await sending(async ({ request }) => {
      const names = request.extensions.filter(({ type }) => type === '2.5.29.17');
      const foreign = await other.issue({
        subject: 'CN=me',
        publicKey: request.publicKey,
        extensions: names,
        sans: [],
        notAfter: ahead(9 * DAY),
      });
      return [foreign.certPem, other.certPem];
    });
    expect(fault).toMatchObject({
      code: 'CHAIN_INCOMPLETE',
      message: expect.stringMatching(/root that the CA does not list/) as string,
    });
  });

  test('by a CA that uses the name of the issuer', async () => {
    const impostor = await (await pki.root({ cn: 'test root' })).intermediate();
    const fault = await sending(async ({ request }) => {
      const names = request.extensions.filter(({ type }) => type === '2.5.29.17');
      return [
        (
          await impostor.issue({
            subject: 'CN=me',
            publicKey: request.publicKey,
            extensions: names,
            sans: [],
            notAfter: ahead(9 * DAY),
          })
        ).certPem,
      ];
    });
    expect(fault).toMatchObject({
      code: 'CHAIN_INCOMPLETE',
      message: expect.stringMatching(/missing, or did not sign it/) as string,
    });
  });

  test('with a signature that is broken', async () => {
    expect((await issuing({ brokenSignature: true })).code).toBe('CHAIN_INCOMPLETE');
  });
});
