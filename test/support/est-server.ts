/**
 * An EST server (RFC 7030): cacerts, simpleenroll with HTTP Basic, simplereenroll with the present certificate. Requests are
 * read and certificates made with @peculiar/x509, so that nothing of the product is checked against itself.
 */
import 'reflect-metadata';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { ago, ahead, type Authority, type CertificateOptions, type Issued } from './pki.ts';

export interface EstOptions {
  readonly root: Authority;
  /** Issues the certificates; the root where left out. */
  readonly issuer?: Authority;
  readonly lifetimeMs?: number;
  /** For simpleenroll. */
  readonly user?: { readonly name: string; readonly password: string };
  readonly label?: string;
}

export interface EstRequest {
  readonly operation: 'simpleenroll' | 'simplereenroll';
  readonly request: x509.Pkcs10CertificateRequest;
  /** DER, to tell two requests apart. */
  readonly der: Buffer;
  /** SHA-256 of the client certificate; null where none came. */
  readonly client: string | null;
}

export interface EstServer {
  /** `https://localhost:PORT/.well-known/est` */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly EstRequest[];
  readonly issued: readonly Issued[];
  /** When each request came, ms since 1970. */
  readonly times: readonly number[];
  /** Answers the next enrolments in place of the server, until it is set to null again. */
  misbehave: ((response: ServerResponse, request: EstRequest) => void | Promise<void>) | null;
  /** What the next certificates differ in. */
  differ: CertificateOptions;
  lifetimeMs: number;
  /** A certificate as the server would issue it. */
  certify(request: x509.Pkcs10CertificateRequest, options?: CertificateOptions): Promise<Issued>;
  /** Answers with certificates as the server would. */
  answer(response: ServerResponse, pems: readonly string[]): void;
  close(): Promise<void>;
}

export async function estServer(options: EstOptions): Promise<EstServer> {
  const { root, issuer = root, label } = options;
  const own = await root.issue({ cn: 'localhost', sans: ['localhost', 'ca.example'], eku: ['serverAuth'] });
  const base = `/.well-known/est${label === undefined ? '' : `/${label}`}`;
  const requests: EstRequest[] = [];
  const issued: Issued[] = [];
  const times: number[] = [];

  const respond = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '' } = incoming;
    if (method === 'GET' && url === `${base}/cacerts`) return est.answer(response, caCertificates());
    const operation =
      url === `${base}/simpleenroll` ? 'simpleenroll' : url === `${base}/simplereenroll` ? 'simplereenroll' : null;
    if (method !== 'POST' || operation === null) return refuse(response, 404, 'no such operation');
    const body = await bodyOf(incoming);
    if (incoming.headers['content-type'] !== 'application/pkcs10')
      return refuse(response, 415, 'not application/pkcs10');
    const der = Buffer.from(body, 'base64');
    const request = new x509.Pkcs10CertificateRequest(der);
    const peer = (incoming.socket as TLSSocket).getPeerX509Certificate();
    const seen: EstRequest = { operation, request, der, client: peer?.fingerprint256 ?? null };
    requests.push(seen);
    times.push(Date.now());
    if (est.misbehave !== null) return est.misbehave(response, seen);
    if (!(await request.verify())) return refuse(response, 400, 'the request is not signed by its key');
    if (operation === 'simpleenroll') {
      const { name, password } = options.user ?? { name: '', password: '' };
      const expected = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
      if (incoming.headers.authorization !== expected) {
        response.setHeader('www-authenticate', 'Basic realm="est"');
        return refuse(response, 401, 'wrong user or password');
      }
    } else {
      if (!peer || !(incoming.socket as TLSSocket).authorized) return refuse(response, 401, 'no client certificate');
      // RFC 7030 §4.2.2: the same subject and names.
      const before = new x509.X509Certificate(peer.raw);
      if (
        Buffer.compare(
          Buffer.from(before.subjectName.toArrayBuffer()),
          Buffer.from(request.subjectName.toArrayBuffer()),
        ) !== 0
      )
        return refuse(response, 400, 'another subject');
      if (sansOf(before.extensions) !== sansOf(request.extensions)) return refuse(response, 400, 'other names');
    }
    const certificate = await est.certify(request);
    est.answer(response, [certificate.certPem]);
  };

  const caCertificates = (): string[] => [...new Set([issuer.certPem, root.certPem])];

  const server = createServer(
    { key: own.keyPem, cert: own.chainPem, ca: root.certPem, requestCert: true, rejectUnauthorized: false },
    (incoming, response) => {
      respond(incoming, response).catch((error: Error) => refuse(response, 400, error.message));
    },
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const est: EstServer = {
    url: `https://localhost:${port}${base}`,
    port,
    requests,
    issued,
    times,
    misbehave: null,
    differ: {},
    lifetimeMs: options.lifetimeMs ?? 3_600_000,
    async certify(request, more = {}) {
      const names = request.extensions.filter(({ type }) => type === '2.5.29.17');
      const certificate = await issuer.issue({
        subject: request.subjectName.toJSON(),
        publicKey: request.publicKey,
        extensions: names,
        sans: [],
        eku: ['clientAuth'],
        notBefore: ago(0),
        notAfter: ahead(est.lifetimeMs),
        ...est.differ,
        ...more,
      });
      issued.push(certificate);
      return certificate;
    },
    answer(response, pems) {
      const certificates = new x509.X509Certificates(pems.map((pem) => new x509.X509Certificate(pem)));
      const base64 = Buffer.from(certificates.export('raw')).toString('base64');
      response.writeHead(200, {
        'content-type': 'application/pkcs7-mime; smime-type=certs-only',
        'content-transfer-encoding': 'base64',
        'content-length': base64.length,
      });
      response.end(base64);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return est;
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`);
}

function sansOf(extensions: readonly x509.Extension[]): string {
  const found = extensions.find(({ type }) => type === '2.5.29.17');
  return found ? Buffer.from(found.value).toString('hex') : '';
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('latin1')) text += chunk as string;
  return text;
}
