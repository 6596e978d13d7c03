/** The first bytes inside a CONNECT, of a client that says them as it likes. */
import { readClientHello } from '../../src/proxy/listen/hello.ts';
import { mutate } from '../mutate.ts';
import type { Surface } from '../surface.ts';
import { recordedHandshake } from '../tls-bytes.ts';

const TOKENS = ['0000', '0010', 'ffff', '0000000f', '000c02683208687474702f312e31', '1603010200', '00'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

export const clientHello: Surface = {
  name: 'client-hello',
  share: 8,
  async open() {
    const seeds = (await Promise.all([recordedHandshake('TLSv1.3'), recordedHandshake('TLSv1.2')])).map(
      ({ client }) => client,
    );
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      check(bytes) {
        const { serverName, alpn } = readClientHello(bytes);
        const held = (serverName?.length ?? 0) + alpn.join('').length;
        if (held > bytes.length) throw new Error(`${held} characters out of ${bytes.length} bytes`);
      },
    };
  },
};
