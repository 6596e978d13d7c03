import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { distinguishedNameText } from '../../../../src/inspect/probe/distinguished-name.ts';
import { handshakeMessages, MESSAGE, type TrafficKey } from '../../../../src/inspect/probe/handshake-messages.ts';
import { certificateRequestOf, certificatesOf, serverHelloOf } from '../../../../src/inspect/probe/handshake-fields.ts';
import { Tap } from '../../../../src/inspect/probe/tap.ts';
import { type Authority, createPki, type Issued } from '../../../support/pki.ts';

type Version = 'TLSv1.2' | 'TLSv1.3';

let root: Authority;
let leaf: Issued;
const flights = new Map<Version, { bytes: Buffer; key: TrafficKey | null }>();

beforeAll(async () => {
  root = await (await createPki()).root({ cn: 'root' });
  leaf = await root.issue();
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) flights.set(version, await capture(version));
});

/** The server's side of a real handshake, as it was on the wire. */
async function capture(version: Version) {
  const server = tls.createServer({
    cert: leaf.certPem,
    key: leaf.keyPem,
    requestCert: true,
    rejectUnauthorized: false,
    ca: root.certPem,
    minVersion: version,
    maxVersion: version,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const raw = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(raw, 'connect');
  const tap = new Tap(raw);
  const socket = tls.connect({ socket: tap, servername: 'localhost', ca: root.certPem });
  let secret: Buffer | null = null;
  socket.on('keylog', (line: Buffer) => {
    const match = /^SERVER_HANDSHAKE_TRAFFIC_SECRET \w+ (\w+)/.exec(line.toString());
    if (match) secret = Buffer.from(match[1] ?? '', 'hex');
  });
  await once(socket, 'secureConnect');
  const bytes = tap.received;
  socket.destroy();
  server.close();
  return { bytes, key: secret && { secret, suite: 0x1302 } };
}

const flight = (version: Version) => flights.get(version) ?? { bytes: Buffer.alloc(0), key: null };
const typesOf = (bytes: Buffer, key: TrafficKey | null) => handshakeMessages(bytes, key).map(({ type }) => type);

describe.each([
  ['TLSv1.2', [2, 11, 12, 13, 14, 4], { version: 0x0303 }],
  ['TLSv1.3', [2, 8, 13, 11, 15, 20], { version: 0x0304, suite: 0x1302 }],
] as const)('%s', (version, order, hello) => {
  const isTls13 = version === 'TLSv1.3';
  const body = (type: number) => {
    const { bytes, key } = flight(version);
    return handshakeMessages(bytes, key).find((message) => message.type === type)?.body ?? Buffer.alloc(0);
  };

  test('the flight is read whole, and in its order', () => {
    const { bytes, key } = flight(version);
    expect(typesOf(bytes, key)).toEqual(order);
    expect(serverHelloOf(body(MESSAGE.serverHello))).toMatchObject(hello);
    expect(certificatesOf(body(MESSAGE.certificate), isTls13)[0]).toEqual(leaf.x509.raw);
    const { caNames } = certificateRequestOf(body(MESSAGE.certificateRequest), isTls13);
    expect(caNames.map(distinguishedNameText)).toEqual(['CN=root']);
  });

  test('cut short anywhere it gives the messages that are whole', () => {
    const { bytes, key } = flight(version);
    let most = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const types = typesOf(bytes.subarray(0, length), key);
      expect(types).toEqual(order.slice(0, types.length));
      expect(types.length).toBeGreaterThanOrEqual(most);
      most = types.length;
    }
    expect(most).toBe(order.length);
  });

  test('damaged anywhere it throws nothing', () => {
    const { bytes, key } = flight(version);
    for (let index = 0; index < bytes.length; index++) {
      const damaged = Buffer.from(bytes);
      damaged[index] = (damaged[index] ?? 0) ^ 0xff;
      expect(() => handshakeMessages(damaged, key)).not.toThrow();
    }
  });

  test.each([
    ['ServerHello', MESSAGE.serverHello, (bytes: Buffer) => serverHelloOf(bytes)],
    ['Certificate', MESSAGE.certificate, (bytes: Buffer) => certificatesOf(bytes, isTls13)],
    ['CertificateRequest', MESSAGE.certificateRequest, (bytes: Buffer) => certificateRequestOf(bytes, isTls13)],
  ])('a %s cut short throws a RangeError and nothing else', (_, type, read) => {
    const whole = body(type);
    // Its last bytes are vectors with their length in front; RFC 5246 lets ServerHello end before its extensions.
    for (let length = 0; length < whole.length; length++) {
      if (type === MESSAGE.serverHello && length === 38 + (whole[34] ?? 0)) continue;
      expect(() => read(whole.subarray(0, length))).toThrow(RangeError);
    }
  });
});

test('TLS 1.2 is read up to ChangeCipherSpec: what follows is encrypted and looks like anything', () => {
  const record = (type: number, body: string) =>
    `${type.toString(16)}0303${(body.length / 2).toString(16).padStart(4, '0')}${body}`;
  const bytes = Buffer.from(record(22, '0e000000') + record(20, '01') + record(22, '0b000000'), 'hex');
  expect(typesOf(bytes, null)).toEqual([14]);
});

test('TLS 1.3 stays closed without its secret, or with another', () => {
  const { bytes, key } = flight('TLSv1.3');
  expect(typesOf(bytes, null)).toEqual([2]);
  expect(typesOf(bytes, { secret: Buffer.alloc(48), suite: 0x1302 })).toEqual([2]);
  expect(typesOf(bytes, { secret: key?.secret ?? Buffer.alloc(48), suite: 0x1304 })).toEqual([2]);
});

describe('distinguishedNameText', () => {
  const name = (...attributes: string[]) => Buffer.from(`30${hex(attributes.join(''))}`, 'hex');
  const hex = (content: string) => (content.length / 2).toString(16).padStart(2, '0') + content;
  const attribute = (oid: string, tag: string, value: string) => {
    const pair = `06${hex(oid)}${tag}${hex(value)}`;
    return `31${hex(`30${hex(pair)}`)}`;
  };

  test.each([
    ['UTF8String', [attribute('550406', '13', '4445'), attribute('550403', '0c', 'c3bc')], 'CN=ü, C=DE'],
    ['BMPString', [attribute('550403', '1e', '00fc65e5')], 'CN=ü日'],
    ['T61String', [attribute('550403', '14', 'fc')], 'CN=ü'],
    ['an attribute without a name', [attribute('2b0601', '0c', '61')], '1.3.6.1=a'],
    ['separators', [attribute('550403', '0c', '612c2b')], 'CN=a\\,\\+'],
    ['a line end', [attribute('550403', '0c', '610a62')], 'CN=a\\u000ab'],
    ['common name first', [attribute('550403', '0c', '61'), attribute('55040a', '0c', '62')], 'CN=a, O=b'],
    ['nothing', [], 'empty name'],
  ])('%s', (_, attributes, text) => {
    expect(distinguishedNameText(name(...attributes))).toBe(text);
  });

  test('says so of what it cannot read', () => {
    expect(distinguishedNameText(Buffer.from('30053103', 'hex'))).toBe('unreadable name');
    expect(distinguishedNameText(Buffer.alloc(0))).toBe('unreadable name');
  });
});
