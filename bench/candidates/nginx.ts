/** A limit: nginx as a TLS reverse proxy with a pool of connections that show the client certificate. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPki } from '../../test/support/pki.ts';
import { freePort, listening } from '../lab/ports.ts';
import { PROXY_CORE, start } from '../lab/processes.ts';
import { hasProgram } from '../lab/programs.ts';
import type { Candidate } from './candidate.ts';

export const nginx: Candidate = {
  name: 'nginx (reverse)',
  kind: 'reverse',
  limit: true,
  http2: true,
  missing: () => (hasProgram('nginx') ? null : 'nginx'),
  async start(lab, { targets = [lab.origin.port] } = {}) {
    const dir = lab.folder('nginx');
    const leaf = (
      await (await (await createPki()).root()).issue({ cn: 'localhost', sans: ['localhost', '127.0.0.1'] })
    ).write(dir, 'leaf');
    const ports = new Map<number, number>();
    for (const target of targets) ports.set(target, await freePort());
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((k) => `${k}_temp_path ${dir}/${k};`);
    writeFileSync(
      join(dir, 'nginx.conf'),
      `daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 15000; }
http {
  access_log ${dir}/access.log; ${temporary.join(' ')}
  client_max_body_size 0; keepalive_requests 100000000; keepalive_timeout 300s; http2_max_concurrent_streams 1000;
  ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate ${leaf.chain}; ssl_certificate_key ${leaf.key};
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering on; proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_ssl_certificate ${lab.client.cert}; proxy_ssl_certificate_key ${lab.client.key};
  proxy_ssl_trusted_certificate ${lab.rootFile}; proxy_ssl_verify on; proxy_ssl_name localhost;
${[...ports]
  .map(
    ([
      target,
      port,
    ]) => `  upstream u${target} { server 127.0.0.1:${target}; keepalive 256; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port} ssl http2 backlog=8192; location / { proxy_pass https://u${target}; } }`,
  )
  .join('\n')}
}
`,
    );
    const begun = performance.now();
    const program = start('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
      core: PROXY_CORE,
    });
    await listening([...ports.values()][0] ?? 0, program, 5);
    const startMs = performance.now() - begun;
    return {
      pid: program.pid,
      port: null,
      startMs,
      at: (target) => `127.0.0.1:${ports.get(target)}`,
      stop: () => program.stop(),
    };
  },
};
