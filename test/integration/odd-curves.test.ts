/** Keys on curves without a NIST name end Node 24.21 where it makes its old certificate object of them. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';

// secp160r1 is too weak for OpenSSL's own level; the others stand for Koblitz and Brainpool.
const CURVES = ['secp256k1', 'brainpoolP256r1'] as const;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

describe.each(CURVES)('%s', (curve) => {
  const dir = temporaryDirectory();
  const file = (name: string): string => join(dir, name);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  const origins: Origin[] = [];
  let daemon: RunningDaemon;

  /** The test PKI is made on WebCrypto, which has no such curves. */
  const issue = (name: string, on: string, issuer: string | null, extensions: string): void => {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    openssl('ecparam', '-name', on, '-genkey', '-noout', '-out', file(`${name}.key`));
    openssl('req', '-new', '-key', file(`${name}.key`), '-subj', `/CN=${name}`, '-out', file(`${name}.csr`));
    writeFileSync(file(`${name}.ext`), extensions);
    const by = issuer
      ? ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)]
      : ['-signkey', file(`${name}.key`)];
    const out = ['-extfile', file(`${name}.ext`), '-days', '2', '-out', file(`${name}.crt`)];
    openssl('x509', '-req', '-in', file(`${name}.csr`), ...by, ...out);
  };

  beforeAll(async () => {
    const ca = 'basicConstraints=critical,CA:TRUE\n';
    const server = 'subjectAltName=DNS:localhost,DNS:*.test.example\nextendedKeyUsage=serverAuth\n';
    issue('root', 'prime256v1', null, ca);
    issue('odd-root', curve, null, ca);
    issue('odd-issuer', curve, 'root', ca);
    issue('elsewhere', 'prime256v1', null, ca);
    issue('below-issuer', 'prime256v1', 'odd-issuer', server);
    issue('below-root', 'prime256v1', 'odd-root', server);
    issue('odd-leaf', curve, 'root', server);
    issue('client', curve, 'root', 'extendedKeyUsage=clientAuth\n');
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: odd, host: odd.test.example, port: "*", cert: ${file('client.crt')}, key: ${file('client.key')} }
trust: { system: false, ca: [${file('root.crt')}, ${file('odd-root.crt')}] }
verification: { rules: [{ host: strict.test.example, port: "*", trust: { system: false, ca: [${file('elsewhere.crt')}] } }] }
`,
      settings: 'connect_to: { odd.test.example: 127.0.0.1, strict.test.example: 127.0.0.1 }\n',
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...origins.map((origin) => origin.close())]);
  });

  const origin = async (
    chain: readonly string[],
    version: (typeof VERSIONS)[number],
    asks = false,
  ): Promise<Origin> => {
    const made = await nodeOrigin({
      key: read(`${chain[0]}.key`),
      cert: chain.map((name) => read(`${name}.crt`)).join(''),
      minVersion: version,
      maxVersion: version,
      ...(asks && { requestCert: true, rejectUnauthorized: false, ca: read('root.crt') }),
    });
    origins.push(made);
    return made;
  };
  const fingerprint = (name: string): string => new X509Certificate(read(`${name}.crt`)).fingerprint256;

  describe.each(VERSIONS)('on %s', (version) => {
    test.each([
      ['a trusted issuer that was sent', ['below-issuer', 'odd-issuer'], ['below-issuer', 'odd-issuer', 'root']],
      ['a trusted root', ['below-root'], ['below-root', 'odd-root']],
    ])('%s is read, and judged', async (_name, sent, shown) => {
      const { url, port } = await origin(sent, version);
      expect((await curl(url, through(daemon))).status).toBe(200);
      const record = await daemon.event('tls.connected', (line) => line.authority === `localhost:${port}`);
      expect(record).toMatchObject({
        tls: { protocol: version },
        server: { chain: shown.map((name) => ({ fingerprint256: fingerprint(name) })) },
        verification: { authorized: true, problems: [] },
      });
    });

    test('an issuer that is not trusted is read, and the server refused', async () => {
      const { port, seen } = await origin(['below-issuer', 'odd-issuer'], version);
      const result = await curl(`https://strict.test.example:${port}/`, through(daemon));
      expect(result.headers['proxy-status']).toContain('UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
      expect(seen).toEqual([]);
      const record = await daemon.event('tls.failed', (line) => line.authority === `strict.test.example:${port}`);
      expect(record.server).toMatchObject({ chain: [{ subject: 'CN=below-issuer' }, { subject: 'CN=odd-issuer' }] });
    });

    // RFC 8734 has signatures on brainpool curves for TLS 1.3, which OpenSSL offers; we offer no other such curve.
    test.runIf(curve === 'brainpoolP256r1' && version === 'TLSv1.3')('a key of the server itself is read', async () => {
      const { url, port } = await origin(['odd-leaf'], version);
      expect((await curl(url, through(daemon))).status).toBe(200);
      const record = await daemon.event('tls.connected', (line) => line.authority === `localhost:${port}`);
      expect(record.server).toMatchObject({ chain: [{ subject: 'CN=odd-leaf' }, { subject: 'CN=root' }] });
    });

    test.runIf(curve === 'secp256k1' || version === 'TLSv1.2')('a server with such a key ends it itself', async () => {
      const { url, port } = await origin(['odd-leaf'], version);
      expect((await curl(url, through(daemon))).status).toBe(502);
      const record = await daemon.event('tls.failed', (line) => line.authority === `localhost:${port}`);
      expect(record.error).toMatchObject({ code: 'TLS_FAILED', alert: { number: 40 } });
    });

    test('an identity with such a key is reported, whether it can be sent or not', async () => {
      const { port } = await origin(['below-root'], version, true);
      await curl(`https://odd.test.example:${port}/`, through(daemon));
      const exchange = await daemon.event('exchange', (line) => line.authority === `odd.test.example:${port}`);
      const record = await (await daemon.api(`/api/v1/connections/${String(exchange.connection)}`)).json();
      expect(record).toMatchObject({
        client_certificate: { name: 'odd', subject: 'CN=client', fingerprint256: fingerprint('client') },
      });
    });
  });

  test('the daemon recorded all of it, and lives', async () => {
    const { certificates } = (await (await daemon.api('/api/v1/certificates')).json()) as { certificates: object[] };
    expect(certificates).toMatchObject([{ name: 'odd', facts: [{ key: `EC ${curve}` }] }]);
    expect(daemon.process.exitCode ?? daemon.process.signalCode).toBeNull();
  });
});
