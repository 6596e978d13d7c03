/** nginx as an origin that demands a client certificate, and counts what it is asked. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Written } from '../../test/support/pki.ts';
import { freePort, listening } from './ports.ts';
import { LOAD_CORE, start } from './processes.ts';

export interface Origin {
  /** Demands a client certificate. */
  readonly port: number;
  /** Demands one too, and speaks TLS 1.2 at most, whose handshake takes a round trip more. */
  readonly tls12Port: number;
  /** Asks for none: for wrk, which can't show one, going direct. */
  readonly openPort: number;
  /** Requests answered so far on any port. */
  requests(): Promise<number>;
  close(): Promise<void>;
}

export interface OriginOptions {
  readonly dir: string;
  readonly server: Written;
  readonly clientCa: string;
  /** More `server` blocks. */
  readonly servers?: string;
}

/** `/1k`, `/1m`, `/100m` and `/1g` to read; `/sink` takes any body. */
export async function startOrigin({ dir, server, clientCa, servers = '' }: OriginOptions): Promise<Origin> {
  const root = join(dir, 'files');
  mkdirSync(root, { recursive: true });
  for (const [name, bytes] of [
    ['1k', 1_024],
    ['1m', 1e6],
    ['100m', 1e8],
    ['1g', 1e9],
  ] as const) {
    writeFileSync(join(root, name), '');
    truncateSync(join(root, name), bytes); // sparse: nothing is read from a disk
  }
  const [port, tls12Port, openPort, countPort, sinkPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const sink = start(process.execPath, [join(import.meta.dirname, '../programs/sink.ts'), String(sinkPort)], {
    core: LOAD_CORE,
  });
  await listening(sinkPort, sink);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((k) => `${k}_temp_path ${dir}/${k};`);
  const location = `ssl_certificate ${server.chain}; ssl_certificate_key ${server.key};
    location = /1k { return 200 "${'k'.repeat(1023)}\\n"; }
    location = /sink { proxy_pass http://127.0.0.1:${sinkPort}; proxy_request_buffering off; proxy_http_version 1.1; }`;
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
worker_rlimit_nofile 20000;
events { worker_connections 15000; }
http {
  access_log off; ${temporary.join(' ')}
  # nginx before 1.23.4 has no TLS 1.3 by default.
  ssl_protocols TLSv1.2 TLSv1.3;
  default_type application/octet-stream; root ${root}; client_max_body_size 0;
  keepalive_requests 100000000; keepalive_timeout 300s; http2_max_concurrent_streams 1000;
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=8192;
    ssl_client_certificate ${clientCa}; ssl_verify_client on;
    ${location}
  }
  server {
    listen 127.0.0.1:${tls12Port} ssl http2; ssl_protocols TLSv1.2;
    ssl_client_certificate ${clientCa}; ssl_verify_client on;
    ${location}
  }
  server { listen 127.0.0.1:${openPort} ssl http2 backlog=8192; ${location} }
  server { listen 127.0.0.1:${countPort}; stub_status; }
  ${servers}
}
`,
  );
  const nginx = start('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
    core: LOAD_CORE,
  });
  await listening(port, nginx);
  return {
    port,
    tls12Port,
    openPort,
    async requests() {
      const text = await (await fetch(`http://127.0.0.1:${countPort}/`)).text();
      return Number(/^\s*\d+ \d+ (\d+)/m.exec(text)?.[1]);
    },
    async close() {
      await nginx.stop();
      await sink.stop();
    },
  };
}
