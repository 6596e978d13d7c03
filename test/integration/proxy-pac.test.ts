/** The proxy configuration that browsers fetch: evaluated as a browser does, against every kind of entry. */
import { createPacResolver } from 'pac-resolver';
import { QuickJS } from 'quickjs-wasi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';

const LISTED = `version: 1
certificates:
  - { name: exact, host: api.example, cert: missing.crt }
  - { name: port, host: api.example, port: 8443, cert: missing.crt }
  - { name: any-port, host: every.example, port: "*", cert: missing.crt }
  - { name: wild, host: "*.corp.example", cert: missing.crt }
  - { name: address, host: 192.0.2.1, cert: missing.crt }
  - { name: six, host: "[2001:db8::1]", cert: missing.crt }
  - { name: local, host: localhost, port: 9443, cert: missing.crt }
  - { name: off, host: off.example, enabled: false, cert: missing.crt }
verification: { rules: [{ host: rule.example, mode: report }, { host: "*.rule.example", port: "*" }] }
interception: { mode: listed }
`;

describe('/proxy.pac', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await startDaemon({ store: LISTED });
  });
  afterAll(() => daemon.stop());

  async function resolver(): Promise<(url: string) => Promise<string>> {
    const text = await (await fetch(`${daemon.admin}/proxy.pac`)).text();
    return createPacResolver(await QuickJS.create(), text);
  }

  test('in mode listed sends those alone to the proxy, ports included, and follows the store', async () => {
    const find = await resolver();
    const proxy = `PROXY 127.0.0.1:${daemon.proxyPort}`;
    const expected = {
      'https://api.example/': proxy,
      'https://API.example/path?https://other.example:1/': proxy,
      'http://api.example/': 'DIRECT',
      'https://api.example:8443/': proxy,
      'https://api.example:9443/': 'DIRECT',
      'https://sub.api.example/': 'DIRECT',
      'https://every.example:1234/': proxy,
      'http://every.example/': proxy,
      'https://a.corp.example/': proxy,
      'https://b.a.corp.example/': proxy,
      'https://corp.example/': 'DIRECT',
      'https://notcorp.example/': 'DIRECT',
      'https://192.0.2.1/': proxy,
      'https://192.0.2.2/': 'DIRECT',
      'https://[2001:db8::1]/': proxy,
      'https://localhost:9443/': proxy,
      'https://localhost/': 'DIRECT',
      'https://off.example/': 'DIRECT',
      'https://rule.example/': proxy,
      'http://x.rule.example:81/': proxy,
      'https://constructor/': 'DIRECT',
      'https://elsewhere.example/': 'DIRECT',
    };
    const found: Record<string, string> = {};
    for (const url of Object.keys(expected)) found[url] = await find(url);
    expect(found).toEqual(expected);

    await daemon.replaceStore('version: 1\n');
    const all = await resolver();
    expect(await all('https://elsewhere.example/')).toBe(proxy);
    expect(await all('https://localhost/')).toBe('DIRECT');
    expect(await all('http://127.0.0.1:9/')).toBe('DIRECT');
  });

  test('is not read by pages of other sites', async () => {
    const ask = (site: string | null) =>
      fetch(`${daemon.admin}/proxy.pac`, { headers: site === null ? {} : { 'sec-fetch-site': site } });
    expect((await ask('cross-site')).status).toBe(403);
    expect((await ask('same-site')).status).toBe(403);
    for (const site of ['same-origin', 'none', null]) {
      const answer = await ask(site);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    }
  });
});
