/** What a probed server sends during a handshake, read for its certificates and its CertificateRequest. */
import {
  caNameTexts,
  certificateRequestOf,
  certificatesOf,
  serverHelloOf,
} from '../../src/inspect/probe/handshake-fields.ts';
import { handshakeMessages, MESSAGE } from '../../src/inspect/probe/handshake-messages.ts';
import { mutate } from '../mutate.ts';
import { allowing, type Surface } from '../surface.ts';
import { recordedHandshake } from '../tls-bytes.ts';

const TOKENS = ['160303', '1403030001', '170303', '0b0000', '0d0000', '020000', 'ffffff', '000000', '0304', '1301'].map(
  (hex) => Buffer.from(hex, 'hex'),
);

export const tlsFlight: Surface = {
  name: 'tls-flight',
  share: 8,
  async open() {
    // Only 1.2 shows its messages in the clear; those of 1.3 are read by the same functions.
    const { server } = await recordedHandshake('TLSv1.2');
    const seeds = [server, (await recordedHandshake('TLSv1.3')).server];
    const key = { secret: Buffer.alloc(32, 1), suite: 0x1301 };
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      check(bytes) {
        handshakeMessages(bytes, key);
        for (const { type, body } of handshakeMessages(bytes, null)) {
          // A damaged message throws RangeError, and reads as absent.
          for (const isTls13 of [false, true]) {
            if (type === MESSAGE.certificate) allowing([RangeError], () => certificatesOf(body, isTls13));
            if (type === MESSAGE.certificateRequest)
              allowing([RangeError], () => caNameTexts(certificateRequestOf(body, isTls13)));
          }
          if (type === MESSAGE.serverHello) allowing([RangeError], () => serverHelloOf(body));
        }
      },
    };
  },
};
