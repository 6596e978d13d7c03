import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ClientSettings, clientVariables } from '../../../src/cli/client-env.ts';

const settings: ClientSettings = {
  proxy: new URL('http://alice@127.0.0.1:8740'),
  caFile: '/home/u/ca.pem',
  bundleFile: '/home/u/bundle.pem',
  noProxy: 'a.example,b.example',
  javaTrustStore: '/home/u/my store.p12',
  wgetrc: null,
  curlHome: null,
};

describe('the variables for clients', () => {
  test('name the proxy with its profile, in both cases', () => {
    const variables = clientVariables(settings, {});
    for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'npm_config_proxy', 'CGI_HTTP_PROXY'])
      expect(variables[name]).toBe('http://alice@127.0.0.1:8740');
    expect([variables.no_proxy, variables.NO_PROXY]).toEqual(['a.example,b.example', 'a.example,b.example']);
    expect('WGETRC' in variables).toBe(false);
  });

  test('variables that add to the trust name the CA, those that replace it the bundle', () => {
    const variables = clientVariables(settings, {});
    expect([variables.NODE_EXTRA_CA_CERTS, variables.DENO_CERT]).toEqual(['/home/u/ca.pem', '/home/u/ca.pem']);
    for (const name of [
      'SSL_CERT_FILE',
      'CURL_CA_BUNDLE',
      'GIT_SSL_CAINFO',
      'REQUESTS_CA_BUNDLE',
      'PIP_CERT',
      'AWS_CA_BUNDLE',
      'CARGO_HTTP_CAINFO',
      'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
      'PERL_LWP_SSL_CA_FILE',
    ])
      expect(variables[name]).toBe('/home/u/bundle.pem');
  });

  test('Java keeps the options it had, and gets ours once', () => {
    const { JAVA_TOOL_OPTIONS: first = '' } = clientVariables(settings, { JAVA_TOOL_OPTIONS: '-Xmx1g' });
    expect(first).toBe(
      '-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8740 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8740 -Dhttp.nonProxyHosts=a.example|b.example "-Djavax.net.ssl.trustStore=/home/u/my store.p12" -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit',
    );
    const { JAVA_TOOL_OPTIONS: without } = clientVariables({ ...settings, javaTrustStore: null, noProxy: '' }, {});
    expect(without).toBe(
      '-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8740 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8740 -Dhttp.nonProxyHosts=',
    );
    const { JAVA_TOOL_OPTIONS: again = '' } = clientVariables(settings, { JAVA_TOOL_OPTIONS: first });
    expect(again.match(/https\.proxyHost/g)).toHaveLength(1);
  });

  test('docs/clients.md names every variable', () => {
    const text = readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8');
    const untold = Object.keys(clientVariables({ ...settings, wgetrc: '/w', curlHome: '/c' }, {})).filter(
      (name) => !text.includes(`\`${name}\``),
    );
    expect(untold).toEqual([]);
  });
});
