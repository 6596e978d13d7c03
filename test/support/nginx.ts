/** nginx as an origin that asks for a client certificate and says what it saw. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from './daemon.ts';
import type { ProcessOrigin } from './origins.ts';
import { answers, freePort } from './ports.ts';

export interface NginxOptions {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
  /** `on` answers 400 without a certificate; `optional_no_ca` takes any. */
  readonly verify?: 'on' | 'optional' | 'optional_no_ca';
  /** More directives for the server block. */
  readonly extra?: string;
}

export async function nginxOrigin(options: NginxOptions): Promise<ProcessOrigin> {
  const dir = temporaryDirectory();
  const port = await freePort();
  mkdirSync(join(dir, 'html'));
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${options.cert}; ssl_certificate_key ${options.key};
    ssl_client_certificate ${options.clientCa}; ssl_verify_client ${options.verify ?? 'on'};
    ${options.extra ?? ''}
    location / { default_type text/plain; return 200 "$ssl_client_verify $ssl_client_s_dn\\n"; }
  }
}
`,
  );
  const child = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
    stdio: 'pipe',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.on('close', () => {
      ended = true;
      resolve();
    }),
  );
  while (!(await answers(port))) {
    if (ended) throw new Error(`nginx ended: ${output}`);
    await sleep(20);
  }
  return {
    port,
    url: `https://localhost:${port}`,
    output: () => output,
    process: child,
    close: async () => {
      child.kill('SIGKILL');
      await end;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
