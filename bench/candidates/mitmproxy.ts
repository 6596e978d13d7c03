/** mitmproxy without its screen. Large bodies are streamed by an option: by default it keeps 1 GB in memory. */
import { freePort, listening } from '../lab/ports.ts';
import { PROXY_CORE, start } from '../lab/processes.ts';
import { hasProgram } from '../lab/programs.ts';
import type { Candidate } from './candidate.ts';

export const mitmproxy: Candidate = {
  name: 'mitmproxy',
  kind: 'proxy',
  http2: true,
  missing: () => (hasProgram('mitmdump') ? null : 'mitmdump (Debian: mitmproxy)'),
  async start(lab) {
    const dir = lab.folder('mitmproxy');
    const port = await freePort();
    const settings = {
      confdir: dir,
      client_certs: lab.client.combined,
      ssl_verify_upstream_trusted_ca: lab.rootFile,
      stream_large_bodies: '1m',
    };
    const begun = performance.now();
    const program = start(
      'mitmdump',
      [
        '-q',
        ...['--listen-host', '127.0.0.1', '-p', String(port)],
        ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
      ],
      { core: PROXY_CORE },
    );
    await listening(port, program, 5);
    const startMs = performance.now() - begun;
    return { pid: program.pid, port, startMs, at: (target) => `127.0.0.1:${target}`, stop: () => program.stop() };
  },
};
