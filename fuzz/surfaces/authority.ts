/** host:port as clients, settings and rules write it: one canonical form, or BAD_AUTHORITY. */
import { canonicalHost, parseAuthority } from '../../src/core/authority.ts';
import { MtlsdError } from '../../src/core/errors.ts';
import { mutate } from '../mutate.ts';
import { allowing, type Surface } from '../surface.ts';

const texts = (list: readonly string[]): Buffer[] => list.map((text) => Buffer.from(text));

const SEEDS = texts([
  'API.example:443',
  '[2001:DB8::0001]:8443',
  '192.0.2.7:1',
  'bücher.example:443',
  '0x7f.1:65535',
  'a.:80',
]);
const TOKENS = texts([
  '[',
  ']',
  ':',
  '::',
  '.',
  '0',
  '65536',
  '%25eth0',
  '@',
  '/',
  '\u3002',
  'xn--',
  '\u200b',
  '\0',
  '-',
  '_',
]);

export const authority: Surface = {
  name: 'authority',
  share: 8,
  open: async () => ({
    make: (random) => mutate(random, { seeds: SEEDS, tokens: TOKENS }),
    check(bytes) {
      const text = bytes.toString();
      const found = allowing([MtlsdError], () => parseAuthority(text, 443));
      if (!found) return;
      if (parseAuthority(found.text).text !== found.text) throw new Error(`${found.text} is not canonical`);
      if (canonicalHost(found.host) !== found.host) throw new Error(`${found.host} is not canonical`);
      if (/[^\x21-\x7e]/.test(found.text)) throw new Error('a character that does not belong in a header');
    },
  }),
};
