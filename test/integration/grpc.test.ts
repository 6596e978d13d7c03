import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { createPki } from '../support/pki.ts';

/** Messages are plain bytes: what is tested is how they travel. */
const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const method = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): grpc.MethodDefinition<string, string> => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
});
const service = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  duplex: method('Duplex', true, true),
  fail: method('Fail', false, false),
  peer: method('Peer', false, false),
} satisfies grpc.ServiceDefinition;

describe('gRPC, unchanged, with the client certificate', () => {
  let daemon: RunningDaemon;
  let server: grpc.Server;
  let client: InstanceType<grpc.ServiceClientConstructor>;
  const proxyBefore = process.env.grpc_proxy;

  beforeAll(async () => {
    const files = temporaryDirectory();
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    const { keyPem, chainPem } = await root.issue({ cn: 'localhost', sans: ['localhost'] });
    server = new grpc.Server();
    server.addService(service, {
      unary: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
        call.sendMetadata(call.metadata);
        const trailer = new grpc.Metadata();
        trailer.set('x-trailer', 'after');
        done(null, call.request.toUpperCase(), trailer);
      },
      clientStream: (call: grpc.ServerReadableStream<string, string>, done: grpc.sendUnaryData<string>) => {
        let all = '';
        call.on('data', (part: string) => {
          all += part;
        });
        call.on('end', () => done(null, all));
      },
      serverStream: (call: grpc.ServerWritableStream<string, string>) => {
        for (const letter of call.request) call.write(letter);
        call.end();
      },
      duplex: (call: grpc.ServerDuplexStream<string, string>) => {
        call.on('data', (part: string) => call.write(part.toUpperCase()));
        call.on('end', () => call.end());
      },
      fail: (_call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
        done({ code: grpc.status.FAILED_PRECONDITION, details: 'not now' });
      },
      peer: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
        const certificate = call.getAuthContext().sslPeerCertificate;
        done(null, String(certificate?.subject.CN));
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createSsl(
        Buffer.from(root.certPem),
        [{ private_key: Buffer.from(keyPem), cert_chain: Buffer.from(chainPem) }],
        true,
      );
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
    daemon = await startDaemon({
      store: `version: 1
certificates: [{ name: alice, host: localhost, port: ${port}, cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
`,
    });
    process.env.grpc_proxy = daemon.proxy;
    const Client = grpc.makeGenericClientConstructor(service, 'Echo');
    client = new Client(`localhost:${port}`, grpc.credentials.createSsl(readFileSync(daemon.caFile)));
  });
  afterAll(async () => {
    if (proxyBefore === undefined) delete process.env.grpc_proxy;
    client.close();
    server.forceShutdown();
    await daemon.stop();
  });

  const unary = (name: string, message: string, metadata = new grpc.Metadata()): Promise<string> =>
    new Promise((resolve, reject) => {
      (client[name] as grpc.ServiceClientConstructor['prototype'][string]).call(
        client,
        message,
        metadata,
        (error: Error | null, answer: string) => (error ? reject(error) : resolve(answer)),
      );
    });

  test('unary, with metadata both ways', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-request', 'value');
    metadata.set('x-bytes-bin', Buffer.from([0, 255, 10]));
    const [answer, initial, trailing] = await new Promise<[string, grpc.Metadata, grpc.Metadata]>((resolve, reject) => {
      let head = new grpc.Metadata();
      let answer = '';
      const call = client.unary?.('hello', metadata, (error: Error | null, value: string) =>
        error ? reject(error) : (answer = value),
      );
      call.on('metadata', (value: grpc.Metadata) => {
        head = value;
      });
      call.on('status', (status: grpc.StatusObject) => resolve([answer, head, status.metadata]));
    });
    expect(answer).toBe('HELLO');
    expect(initial.get('x-request')).toEqual(['value']);
    expect(initial.get('x-bytes-bin')).toEqual([Buffer.from([0, 255, 10])]);
    expect(trailing.get('x-trailer')).toEqual(['after']);
  });

  test('the origin saw the certificate', async () => {
    expect(await unary('peer', 'who')).toBe('alice');
    expect(await daemon.event('exchange', (line) => line.path === '/test.Echo/Peer')).toMatchObject({
      http: '2',
      upstream_http: '2',
      certificate: 'alice',
    });
  });

  test('client streaming', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const call = client.clientStream?.((error: Error | null, value: string) =>
        error ? reject(error) : resolve(value),
      );
      for (let i = 0; i < 100; i++) call.write(`${i},`);
      call.end();
    });
    expect(answer).toBe(Array.from({ length: 100 }, (_, i) => `${i},`).join(''));
  });

  test('server streaming', async () => {
    const parts: string[] = [];
    for await (const part of client.serverStream?.('stream of letters') as AsyncIterable<string>) parts.push(part);
    expect(parts).toEqual([...'stream of letters']);
  });

  test('both ways, each message answered before the next', async () => {
    const call = client.duplex?.() as grpc.ClientDuplexStream<string, string>;
    for (const word of ['one', 'two', 'three']) {
      call.write(word);
      expect(await new Promise((resolve) => call.once('data', resolve))).toBe(word.toUpperCase());
    }
    call.end();
    await new Promise((resolve) => call.on('status', resolve));
  });

  test('a status that is not OK comes with its details', async () => {
    await expect(unary('fail', 'now')).rejects.toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
      details: 'not now',
    });
  });

  test('a deadline cancels the call', async () => {
    const call = client.duplex?.(new grpc.Metadata(), { deadline: Date.now() + 300 }) as grpc.ClientDuplexStream<
      string,
      string
    >;
    call.on('error', () => {});
    call.resume();
    const status = await new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    expect(status.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });
});
