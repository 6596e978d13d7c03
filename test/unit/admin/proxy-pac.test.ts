import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createPacResolver } from 'pac-resolver';
import { QuickJS } from 'quickjs-wasi';
import { describe, expect, test } from 'vitest';
import { proxyPac } from '../../../src/admin/proxy-pac.ts';
import { decide } from '../../../src/certs/decide.ts';
import type { StoreSnapshot } from '../../../src/certs/store/snapshot.ts';
import { openStore } from '../../../src/certs/store/store.ts';
import { parseAuthority } from '../../../src/core/authority.ts';
import { folderFor } from '../certs/store/support.ts';

const PROXY = 'PROXY 127.0.0.1:8740';

async function storeOf(text: string): Promise<StoreSnapshot> {
  const file = path.join(folderFor(), 'certificates.yaml');
  writeFileSync(file, `version: 1\n${text}`);
  const store = await openStore({ file, watch: false });
  await store.close();
  return store.current;
}

/** What a browser with this file does with a URL. */
async function evaluate(pac: string): Promise<(url: string) => Promise<string>> {
  const find = createPacResolver(await QuickJS.create(), pac);
  return (url) => find(url);
}

const LISTED = `
certificates:
  - { host: api.example, cert: none.pem }
  - { host: api.example, port: 9443, cert: none.pem }
  - { host: ports.example, port: "*", cert: none.pem }
  - { host: "*.corp.example", cert: none.pem }
  - { host: "*.any.example", port: "*", cert: none.pem }
  - { host: 192.0.2.7, cert: none.pem }
  - { host: "2001:DB8::0:1", port: "*", cert: none.pem }
  - { host: intranet, cert: none.pem }
  - { host: localhost, port: 9443, cert: none.pem }
  - { host: Bücher.example, cert: none.pem }
  - { host: off.example, port: "*", cert: none.pem, enabled: false }
  - { host: profile.example, profile: alice, cert: none.pem }
  - { host: __proto__, cert: none.pem }
verification:
  rules:
    - { host: Rule.example, mode: report }
    - { host: "*.rules.example", port: 8443, mode: report }
interception:
  mode: listed
  passthrough: [pinned.corp.example, "*.pinned.any.example", "ports.example:7443"]
`;

describe('in mode listed', () => {
  // biome-ignore format: a table reads best as a table
  test.each([
    ['exact host', 'https://api.example/path?q#f', PROXY],
    ['its port by name', 'https://api.example:443/', PROXY],
    ['a port of another entry for it', 'https://api.example:9443/', PROXY],
    ['another port', 'https://api.example:8443/', 'DIRECT'],
    ['the port of plain HTTP', 'http://api.example/', 'DIRECT'],
    ['a user with a port in the name', 'https://api.example:443@other.example/', 'DIRECT'],
    ['a WebSocket', 'wss://api.example/', PROXY],
    ['a WebSocket without TLS', 'ws://api.example/', 'DIRECT'],
    ['below an exact host', 'https://a.api.example/', 'DIRECT'],
    ['any port', 'https://ports.example:1/', PROXY],
    ['any port, plain HTTP', 'http://ports.example/', PROXY],
    ['a wildcard', 'https://a.corp.example/', PROXY],
    ['a wildcard, deeper', 'https://b.a.corp.example/', PROXY],
    ['a wildcard, not its apex', 'https://corp.example/', 'DIRECT'],
    ['a wildcard, not what ends alike', 'https://evilcorp.example/', 'DIRECT'],
    ['a wildcard, another port', 'https://a.corp.example:8443/', 'DIRECT'],
    ['a wildcard, any port', 'https://a.any.example:8443/', PROXY],
    ['IPv4', 'https://192.0.2.7/', PROXY],
    ['another IPv4', 'https://192.0.2.8/', 'DIRECT'],
    ['IPv6', 'https://[2001:db8::1]:8443/', PROXY],
    ['another IPv6', 'https://[2001:db8::2]/', 'DIRECT'],
    ['a name without a dot', 'https://intranet/', PROXY],
    ['another name without a dot', 'https://other/', 'DIRECT'],
    ['loopback that is listed', 'https://localhost:9443/', PROXY],
    ['loopback that is not', 'http://127.0.0.1:8741/', 'DIRECT'],
    ['IPv6 loopback', 'http://[::1]:8741/', 'DIRECT'],
    ['an internationalized name', 'https://xn--bcher-kva.example/', PROXY],
    ['a disabled entry', 'https://off.example/', 'DIRECT'],
    ['an entry of a profile', 'https://profile.example/', PROXY],
    ['a name that means something in JavaScript', 'https://__proto__/', PROXY],
    ['another such', 'https://constructor/', 'DIRECT'],
    ['a rule', 'https://rule.example/', PROXY],
    ['a rule, a wildcard', 'https://a.rules.example:8443/', PROXY],
    ['a rule, another port', 'https://a.rules.example/', 'DIRECT'],
    ['passthrough', 'https://pinned.corp.example/', 'DIRECT'],
    ['passthrough, a wildcard', 'https://a.pinned.any.example:8443/', 'DIRECT'],
    ['passthrough, one port', 'https://ports.example:7443/', 'DIRECT'],
    ['upper case', 'https://API.EXAMPLE/', PROXY],
    ['a dot at the end', 'https://api.example./', PROXY],
    ['the name that only the proxy answers', 'http://mtlsd.test/', PROXY],
    ['anything else', 'https://www.example/', 'DIRECT'],
  ])('%s: %s', async (_what, url, wanted) => {
    const store = await storeOf(LISTED);
    const find = await evaluate(proxyPac(store, '127.0.0.1:8740'));
    expect(await find(url)).toBe(wanted);
    const { protocol, host, hostname } = new URL(url);
    // The daemon's own decision, where loopback and its own name are not special.
    if (hostname === 'mtlsd.test' || hostname === '127.0.0.1' || hostname === '[::1]') return;
    const { action } = decide(store, parseAuthority(host, /^(https|wss):/.test(protocol) ? 443 : 80), {});
    expect(action).toBe(wanted === PROXY ? 'intercept' : 'passthrough');
  });

  test.each([
    ['"*"', 'https://a.example/', PROXY],
    ['"*"', 'https://intranet/', PROXY],
    ['"*"', 'https://192.0.2.1/', PROXY],
    ['"*"', 'https://[2001:db8::1]/', PROXY],
    ['"*"', 'https://a.example:8443/', 'DIRECT'],
    // The daemon's own page, and pages under development.
    ['"*"', 'https://127.0.0.1/', 'DIRECT'],
    ['"*", port: "*"', 'http://a.example:8080/', PROXY],
    ['"*", port: "*"', 'http://localhost:8741/', 'DIRECT'],
  ])('a certificate for host %s: %s', async (host, url, wanted) => {
    const store = await storeOf(`certificates: [{ host: ${host}, cert: none.pem }]\ninterception: { mode: listed }\n`);
    expect(await (await evaluate(proxyPac(store, '127.0.0.1:8740')))(url)).toBe(wanted);
  });
});

test('in mode all everything but loopback and plain names', async () => {
  const text = LISTED.replace('mode: listed', 'mode: all');
  const pac = proxyPac(await storeOf(text), '127.0.0.1:8740');
  const find = await evaluate(pac);
  const direct = ['http://127.0.0.1:8741/', 'http://[::1]/', 'http://localhost/', 'https://other/'];
  for (const url of direct) expect(await find(url), url).toBe('DIRECT');
  const proxied = ['https://www.example/', 'http://www.example/', 'https://pinned.corp.example/', 'https://intranet/'];
  for (const url of proxied) expect(await find(url), url).toBe(PROXY);
  // The file needs to name no host for that.
  expect(pac).not.toContain('api.example');
});

test('sends everything directly without a proxy that a browser can reach', async () => {
  const find = await evaluate(proxyPac(await storeOf(''), undefined));
  expect(await find('https://www.example/')).toBe('DIRECT');
});
