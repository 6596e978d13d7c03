/** A local CA with name constraints: what it signs for works, and a leaf made with its stolen key for anything else is refused. */
import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLocalCa } from '../../src/certs/local-ca/local-ca.ts';
import { issuerOf, mint } from '../../src/certs/local-ca/mint.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';
import { CHROMIUM, FLAGS } from '../support/page.ts';

const run = promisify(execFile);
const SETTINGS = (outside: string) => `ca: { permitted: [corp.example, 10.0.0.0/8], outside: ${outside} }\n`;
const home = temporaryDirectory();
let daemon: RunningDaemon;
let origin: Origin;
let root: string;

beforeAll(async () => {
  const authority = await (await createPki()).root();
  const { keyPem, chainPem } = await authority.issue({
    cn: 'api.corp.example',
    sans: ['api.corp.example', 'other.example'],
  });
  origin = await nodeOrigin({ key: keyPem, cert: chainPem });
  root = join(home, 'root.crt');
  writeFileSync(root, authority.certPem);
  daemon = await start('passthrough');
});
afterAll(async () => {
  await Promise.all([daemon.stop(), origin.close()]);
});

const start = (outside: string): Promise<RunningDaemon> =>
  startDaemon({
    home,
    settings: `${SETTINGS(outside)}connect_to: { api.corp.example: "127.0.0.1:${origin.port}", other.example: "127.0.0.1:${origin.port}" }\n`,
    store: `version: 1\ntrust: { system: false, ca: [${root}] }\n`,
  });

describe('hosts', () => {
  test('within are intercepted, and those outside are tunnelled untouched with the reason', async () => {
    expect((await curl('https://api.corp.example/', through(daemon))).status).toBe(200);
    expect((await curl('https://other.example/', through(daemon))).exit).toBe(60);
    expect((await curl('https://other.example/', ['--proxy', daemon.proxy, '--cacert', root])).status).toBe(200);
    const tunnel = await daemon.event('tunnel');
    expect(tunnel).toMatchObject({
      authority: 'other.example:443',
      why: expect.stringContaining('ca.permitted') as string,
    });
    const match = (await (await daemon.api('/api/v1/match?authority=other.example')).json()) as { action: string };
    expect(match.action).toBe('passthrough');
  });

  test('outside are refused where the settings say so; the own name is within', async () => {
    await daemon.stop();
    daemon = await start('refuse');
    expect((await curl('https://mtlsd.test/', through(daemon))).status).toBe(200);
    expect((await curl('https://api.corp.example/', through(daemon))).status).toBe(200);
    expect((await curl('https://other.example/', through(daemon))).exit).toBe(56);
    expect(await daemon.event('proxy.refused')).toMatchObject({ code: 'POLICY_REFUSED', target: 'other.example:443' });
  });
});

test('mtlsd match says so without a daemon too', async () => {
  const other = temporaryDirectory();
  writeFileSync(join(other, 'mtlsd.yaml'), SETTINGS('refuse'));
  const match = async (host: string) => (await runMtlsd(['match', host, '--home', other])).stdout;
  expect(await match('api.corp.example')).toContain('would be intercepted');
  expect(await match('bank.example')).toMatch(/refused.*ca\.permitted does not list it/);
  writeFileSync(join(other, 'mtlsd.yaml'), 'ca: { permitted: 5 }\n');
  expect(await match('bank.example')).toContain('mtlsd.yaml:1:18');
  expect((await runMtlsd(['cert', 'list', '--home', other])).code).toBe(0);
});

test('a CA with other limits stops the start, and the message says what to do', async () => {
  const other = temporaryDirectory();
  await openLocalCa(join(other, 'ca'));
  writeFileSync(join(other, 'mtlsd.yaml'), SETTINGS('refuse'));
  const { code, stderr } = await runMtlsd(['start', '--home', other]);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /may sign for every name, and ca\.permitted lists some\nnext: set ca\.permitted .*back, or .*remove /,
  );
});

test('an item that is neither host nor subnet is named', async () => {
  const other = temporaryDirectory();
  writeFileSync(join(other, 'mtlsd.yaml'), 'ca: { permitted: ["*.corp.example"] }\n');
  const { code, stderr } = await runMtlsd(['start', '--home', other]);
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/"\*\.corp\.example" is not a host, address or subnet\nnext: /),
  ]);
});

/** A server of an attacker with the key of the CA. */
async function impostor(host: string, commonNameOnly = false) {
  const [certificate, key] = [readFileSync(daemon.caFile, 'utf8'), readFileSync(join(home, 'ca/ca.key'), 'utf8')];
  const { X509Certificate } = await import('node:crypto');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = mint({
    ...(isIP(host) ? {} : { subject: { commonName: host } }),
    issuer: issuerOf(new X509Certificate(certificate), createPrivateKey(key)),
    publicKey,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
    hosts: commonNameOnly ? [] : [host],
    purposes: ['serverAuth'],
  });
  const server = tls.createServer(
    { cert: leaf.toString(), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    (socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nimpostor'),
      );
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void server.close() };
}

const PYTHON = `
import socket,ssl,sys
host,port,ca=sys.argv[1:]
s=ssl.create_default_context(cafile=ca).wrap_socket(socket.create_connection(('127.0.0.1',int(port))),server_hostname=host)
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n');print(s.recv(999).decode())`;
const NODE = `
const [host,port,ca]=process.argv.slice(1);
require('tls').connect({host:'127.0.0.1',port,servername:/^[\\d.]+$/.test(host)?'':host,ca:require('fs').readFileSync(ca),
 checkServerIdentity:(_,c)=>require('tls').checkServerIdentity(host,c)},function(){this.end('GET / HTTP/1.0\\r\\n\\r\\n')})
 .on('data',(d)=>console.log(String(d))).on('error',(e)=>{console.error(e.code);process.exit(1)})`;
const GO = `package main
import ("crypto/tls";"crypto/x509";"fmt";"os")
func main() { pem, _ := os.ReadFile(os.Args[3]); pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem)
 c, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[2], &tls.Config{RootCAs: pool, ServerName: os.Args[1]})
 if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
 c.Write([]byte("GET / HTTP/1.0\\r\\n\\r\\n")); b := make([]byte, 999); n, _ := c.Read(b); fmt.Println(string(b[:n])) }`;
const JAVA = `import java.security.*;import java.security.cert.*;import javax.net.ssl.*;import java.net.*;import java.io.*;
public class Ask { public static void main(String[] a) throws Exception {
 KeyStore ks=KeyStore.getInstance("PKCS12");ks.load(null,null);
 ks.setCertificateEntry("ca",CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(a[2])));
 TrustManagerFactory f=TrustManagerFactory.getInstance("PKIX");f.init(ks);SSLContext c=SSLContext.getInstance("TLS");c.init(null,f.getTrustManagers(),null);
 Socket plain=new Socket("127.0.0.1",Integer.parseInt(a[1]));SSLSocket s=(SSLSocket)c.getSocketFactory().createSocket(plain,a[0],443,true);
 SSLParameters p=s.getSSLParameters();p.setEndpointIdentificationAlgorithm("HTTPS");s.setSSLParameters(p);
 s.startHandshake();s.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes());System.out.println(new String(s.getInputStream().readNBytes(200))); } }`;

/** How each asks the server at a port for a host, trusting a CA; what it prints. */
type Ask = (host: string, port: number, ca: string) => Promise<{ stdout: string }>;
const CLIENTS: readonly (readonly [string, string, Ask])[] = [
  [
    'curl (OpenSSL)',
    'curl',
    (host, port, ca) =>
      run('curl', [
        '-sS',
        '--noproxy',
        '*',
        '--cacert',
        ca,
        '--connect-to',
        `${host}:443:127.0.0.1:${port}`,
        `https://${host}/`,
      ]),
  ],
  ['Python', 'python3', (host, port, ca) => run('python3', ['-c', PYTHON, host, String(port), ca])],
  ['Node', 'node', (host, port, ca) => run(process.execPath, ['-e', NODE, host, String(port), ca])],
  ['Go', 'go', async (host, port, ca) => run(await goProgram(), [host, String(port), ca])],
  ['Java', 'java', (host, port, ca) => run('java', [javaFile(), host, String(port), ca])],
];
let built: Promise<string> | null = null;
const goProgram = (): Promise<string> =>
  (built ??= (async () => {
    const dir = temporaryDirectory();
    writeFileSync(join(dir, 'ask.go'), GO);
    const env = { ...process.env, GO111MODULE: 'off', GOCACHE: join(dir, 'cache'), GOTOOLCHAIN: 'local' };
    await run('go', ['build', '-o', join(dir, 'ask'), join(dir, 'ask.go')], { env });
    return join(dir, 'ask');
  })());
const javaFile = (): string => {
  const file = join(temporaryDirectory(), 'Ask.java');
  writeFileSync(file, JAVA);
  return file;
};

describe.each(CLIENTS)('with the stolen key, %s', (_, tool, ask) => {
  test.skipIf(!hasTool(tool))(
    'takes a leaf within the limits and refuses every other, as docs/trust.md says',
    { timeout: 120_000 },
    async () => {
      for (const host of ['api.corp.example', '10.1.2.3']) {
        await using server = await impostor(host);
        expect((await ask(host, server.port, daemon.caFile)).stdout).toContain('impostor');
      }
      for (const [host, commonNameOnly] of [
        ['bank.example', false],
        ['192.0.2.7', false],
        ['bank.example', true],
      ] as const) {
        if (tool === 'java' && commonNameOnly) continue; // it is about OpenSSL, which reads common names
        await using server = await impostor(host, commonNameOnly);
        const asked = ask(host, server.port, daemon.caFile);
        // The JDK ignores the constraints of a trust anchor (RFC 5280 §6.1.1 leaves that open).
        if (tool === 'java') expect((await asked).stdout).toContain('impostor');
        else await expect(asked).rejects.toThrow(/./);
      }
    },
  );
});

test.skipIf(!hasTool('chromium') || !hasTool('certutil'))(
  'with the stolen key, Chromium takes a leaf within the limits and refuses every other',
  { timeout: 60_000 },
  async () => {
    const user = temporaryDirectory();
    const database = `sql:${join(user, '.pki/nssdb')}`;
    mkdirSync(join(user, '.pki/nssdb'), { recursive: true });
    await run('certutil', ['-N', '-d', database, '--empty-password']);
    await run('certutil', ['-A', '-d', database, '-n', 'local', '-t', 'C,,', '-i', daemon.caFile]);
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [...FLAGS, '--host-resolver-rules=MAP *.example 127.0.0.1'],
      env: { ...process.env, HOME: user },
    });
    try {
      const page = await browser.newPage();
      await using within = await impostor('api.corp.example');
      const response = await page.goto(`https://api.corp.example:${within.port}/`);
      expect(await response?.text()).toBe('impostor');
      await using outside = await impostor('bank.example');
      await expect(page.goto(`https://bank.example:${outside.port}/`)).rejects.toThrow(/ERR_CERT/);
    } finally {
      await browser.close();
    }
  },
);
