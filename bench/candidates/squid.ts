/** Squid with ssl-bump: one worker, leaves minted by its helper, the client certificate shown to every origin. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPki } from '../../test/support/pki.ts';
import { freePort, listening } from '../lab/ports.ts';
import { PROXY_CORE, start } from '../lab/processes.ts';
import { findProgram } from '../lab/programs.ts';
import type { Candidate } from './candidate.ts';

export const squid: Candidate = {
  name: 'Squid ssl-bump',
  kind: 'proxy',
  http2: false,
  missing: () =>
    findProgram('squid') && findProgram('security_file_certgen') ? null : 'squid with OpenSSL (Debian: squid-openssl)',
  async start(lab) {
    const dir = lab.folder('squid');
    const ca = (await (await createPki()).root({ cn: 'squid bench CA' })).write(dir, 'ca');
    const certgen = findProgram('security_file_certgen') ?? '';
    execFileSync(certgen, ['-c', '-s', join(dir, 'db'), '-M', '64MB'], { stdio: 'ignore' });
    const port = await freePort();
    writeFileSync(
      join(dir, 'squid.conf'),
      `http_port 127.0.0.1:${port} ssl-bump tls-cert=${ca.cert} tls-key=${ca.key} generate-host-certificates=on dynamic_cert_mem_cache_size=64MB
sslcrtd_program ${certgen} -s ${dir}/db -M 64MB
tls_outgoing_options cert=${lab.client.cert} key=${lab.client.key} cafile=${lab.rootFile}
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
http_access allow all
cache deny all
access_log stdio:${dir}/access.log
cache_log ${dir}/cache.log
pid_filename ${dir}/squid.pid
coredump_dir ${dir}
max_filedescriptors 16000
shutdown_lifetime 0 seconds
`,
    );
    chmodSync(ca.key, 0o644); // made for this run alone; read after root's rights are gone
    ownedBySquid(dir);
    const begun = performance.now();
    const program = start('squid', ['-N', '-f', join(dir, 'squid.conf')], { core: PROXY_CORE });
    await listening(port, program, 5);
    const startMs = performance.now() - begun;
    return { pid: program.pid, port, startMs, at: (target) => `127.0.0.1:${target}`, stop: () => program.stop() };
  },
};

/** Started by root, Debian's Squid continues as the user `proxy`. */
function ownedBySquid(dir: string): void {
  if (process.getuid?.() !== 0) return;
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'proxy'], { encoding: 'utf8' })));
  execFileSync('chown', ['-R', `${uid}:${gid}`, dir]);
  chownSync(dir, uid ?? 0, gid ?? 0);
}
