/** A root, client certificates in files, an origin that asks for one, and a daemon that trusts the root: in one call. */
import { execFileSync } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DaemonOptions, type RunningDaemon, startDaemon, temporaryDirectory } from './daemon.ts';
import { nodeOrigin, type Origin, type Seen } from './origins.ts';
import { type Authority, type CertificateOptions, createPki, type Issued } from './pki.ts';

export interface Stage {
  /** `root.crt`, and `NAME.crt`, `NAME.key` and `NAME-chain.crt` of each client. */
  readonly files: string;
  readonly root: Authority;
  readonly clients: Readonly<Record<string, Issued>>;
  /** For more origins of the same kind. */
  readonly tls: {
    readonly key: string;
    readonly cert: string;
    readonly ca: string;
    readonly requestCert: true;
    readonly rejectUnauthorized: boolean;
  };
  /** Named `localhost`. */
  readonly origin: Origin;
}

export interface Scene extends Stage {
  readonly daemon: RunningDaemon;
  close(): Promise<void>;
}

export interface SceneOptions extends Omit<DaemonOptions, 'store'> {
  /** Made when left out. */
  readonly files?: string;
  /** `alice` when left out. */
  readonly clients?: readonly string[];
  readonly client?: CertificateOptions;
  readonly server?: CertificateOptions;
  /** Whether the origin refuses a connection without a certificate; true when left out. */
  readonly demands?: boolean;
  readonly handler?: (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;
  /** certificates.yaml; when left out, the first client for every port of localhost. */
  readonly store?: (stage: Stage) => string;
}

export async function createScene(options: SceneOptions = {}): Promise<Scene> {
  const { clients = ['alice'], client, server, demands = true, handler, store = firstClient, ...rest } = options;
  const { files = temporaryDirectory(), ...daemonOptions } = rest;
  const root = await (await createPki()).root();
  root.write(files, 'root');
  const issued: Record<string, Issued> = {};
  for (const name of clients) {
    issued[name] = await root.issue({ cn: name, eku: ['clientAuth'], ...client });
    issued[name].write(files, name);
  }
  const { keyPem, chainPem } = await root.issue({ cn: 'localhost', ...server });
  const tls = {
    key: keyPem,
    cert: chainPem,
    ca: root.certPem,
    requestCert: true,
    rejectUnauthorized: demands,
  } as const;
  const origin = await nodeOrigin(tls, handler);
  const stage = { files, root, clients: issued, tls, origin };
  const daemon = await startDaemon({ ...daemonOptions, store: store(stage) });
  const close = async (): Promise<void> => {
    await Promise.all([daemon.stop(), origin.close()]);
  };
  return { ...stage, daemon, close };
}

function firstClient({ files, clients }: Stage): string {
  const [name = ''] = Object.keys(clients);
  return `version: 1
certificates: [{ name: ${name}, host: localhost, port: "*", cert: ${files}/${name}.crt, key: ${files}/${name}.key }]
trust: { system: false, ca: [${files}/root.crt] }
`;
}

/** `OUT.p12` of a client, as openssl writes it. */
export function writePfx(files: string, name: string, password: string, out = name): void {
  const pair = ['-in', `${files}/${name}.crt`, '-inkey', `${files}/${name}.key`];
  execFileSync('openssl', [
    'pkcs12',
    '-export',
    ...pair,
    '-out',
    `${files}/${out}.p12`,
    '-passout',
    `pass:${password}`,
  ]);
}
