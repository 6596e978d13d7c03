/** Servers of other makes that demand a client certificate of one CA, and tell whether a request reached their application. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nginxOrigin } from './nginx.ts';
import { nodeOrigin, opensslOrigin } from './origins.ts';
import { freePort } from './ports.ts';

export interface RefusingOptions {
  /** Holds `server.crt`, `server.key` and `root.crt`. */
  readonly dir: string;
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  /** Signature algorithms without Ed25519, if the server has that option. */
  readonly noEd25519: boolean;
}

export interface RefusingOrigin {
  readonly port: number;
  /** Whether anything that its application printed or was called with holds this text. */
  readonly saw: (text: string) => boolean;
  close(): Promise<void>;
}

type Start = (options: RefusingOptions) => Promise<RefusingOrigin>;

const openssl: Start = async ({ dir, version, noEd25519 }) => {
  // Without -www it prints what the client sends.
  const origin = await opensslOrigin([
    '-cert',
    `${dir}/server.crt`,
    '-key',
    `${dir}/server.key`,
    '-CAfile',
    `${dir}/root.crt`,
    '-Verify',
    '3',
    '-verify_return_error',
    version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3',
    ...(noEd25519 ? ['-client_sigalgs', 'ECDSA+SHA256:RSA-PSS+SHA256'] : []),
  ]);
  return { port: origin.port, saw: (text) => origin.output().includes(text), close: () => origin.close() };
};

const node: Start = async ({ dir, version, noEd25519 }) => {
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8');
  const origin = await nodeOrigin({
    key: read('server.key'),
    cert: read('server.crt'),
    ca: read('root.crt'),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: version,
    maxVersion: version,
    ...(noEd25519 && { sigalgs: 'ECDSA+SHA256:RSA-PSS+SHA256' }),
  });
  return { port: origin.port, saw: (text) => JSON.stringify(origin.seen).includes(text), close: () => origin.close() };
};

const nginx: Start = async ({ dir, version, noEd25519 }) => {
  // A location is the application; the access log of that location has its requests only.
  const log = join(dir, `nginx-${version}-${noEd25519}.log`);
  const origin = await nginxOrigin({
    cert: `${dir}/server.crt`,
    key: `${dir}/server.key`,
    clientCa: `${dir}/root.crt`,
    extra: `ssl_protocols ${version};
    location /refused { access_log ${log}; return 200 "application\\n"; }
    ${noEd25519 ? 'ssl_conf_command ClientSignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256;' : ''}`,
  });
  // nginx logs its own 400 there as well, which is no call of the application.
  const lines = (): string[] => readFileSync(log, 'utf8').split('\n');
  return {
    port: origin.port,
    saw: (text) => lines().some((line) => line.includes(text) && !line.includes('" 400 ')),
    close: () => origin.close(),
  };
};

/** A program that says `PORT n` when it listens, and prints the request lines that its application sees. */
async function program(command: string, args: readonly string[]): Promise<RefusingOrigin> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  return listening(child, /PORT (\d+)/);
}

async function listening(child: ChildProcess, sign: RegExp, known?: number): Promise<RefusingOrigin> {
  let output = '';
  const end = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    const read = (text: string): void => {
      output += text;
      const found = sign.exec(output);
      if (found) resolve(known ?? Number(found[1]));
    };
    child.stdout?.setEncoding('utf8').on('data', read);
    child.stderr?.setEncoding('utf8').on('data', read);
    child.on('error', reject);
    void end.then(() => reject(new Error(`the server ended: ${output}`)));
  });
  return {
    port,
    saw: (text) => output.includes(text),
    close: async () => {
      child.kill('SIGKILL');
      await end;
    },
  };
}

const PYTHON = `import http.server, ssl, sys
cert, key, ca, version = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print('SAW', self.path, flush=True)
        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()
    def log_message(self, *args): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.load_verify_locations(ca)
context.verify_mode = ssl.CERT_REQUIRED
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.handle_error = lambda *args: None
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print('PORT', server.server_address[1], flush=True)
server.serve_forever()
`;

const python: Start = async ({ dir, version }) => {
  const script = join(dir, 'server.py');
  writeFileSync(script, PYTHON);
  const name = version.replace('.', '_');
  return program('python3', [script, `${dir}/server.crt`, `${dir}/server.key`, `${dir}/root.crt`, name]);
};

const GO = `package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err != nil {
		panic(err)
	}
	pem, _ := os.ReadFile(os.Args[3])
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	version := uint16(tls.VersionTLS12)
	if os.Args[4] == "TLSv1.3" {
		version = tls.VersionTLS13
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, MinVersion: version, MaxVersion: version,
		ClientAuth: tls.RequireAndVerifyClientCert}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("PORT", listener.Addr().(*net.TCPAddr).Port)
	server := http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("SAW", r.URL.Path)
	})}
	server.Serve(tls.NewListener(listener, config))
}
`;

const go: Start = async ({ dir, version }) => {
  const binary = join(dir, 'go-server');
  writeFileSync(join(dir, 'server.go'), GO);
  const offline = { GOFLAGS: '-mod=mod', GOPROXY: 'off', GO111MODULE: 'off', GOTOOLCHAIN: 'local' };
  const env = { ...process.env, ...offline };
  execFileSync('go', ['build', '-o', binary, 'server.go'], { cwd: dir, env, stdio: 'pipe' });
  return program(binary, [`${dir}/server.crt`, `${dir}/server.key`, `${dir}/root.crt`, version]);
};

const gnutls: Start = async ({ dir, version, noEd25519 }) => {
  const port = await freePort();
  const versions = `-VERS-ALL:+VERS-TLS${version.slice(4)}`;
  const priority = `NORMAL:${versions}${noEd25519 ? ':-SIGN-EDDSA-ED25519' : ''}`;
  const own = ['--x509certfile', `${dir}/server.crt`, '--x509keyfile', `${dir}/server.key`];
  const client = ['--x509cafile', `${dir}/root.crt`, '--require-client-cert', '--verify-client-cert'];
  const child = spawn('gnutls-serv', ['--echo', '--port', String(port), '--priority', priority, ...own, ...client], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return listening(child, /done/, port);
};

export const REFUSING = { openssl, node, go, python3: python, nginx, 'gnutls-serv': gnutls } as const;
export type RefusingKind = keyof typeof REFUSING;
