/** On what the figures were measured. */
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { versionOf } from '../lab/programs.ts';

export function machine(): string {
  const versions = [
    `mtlsd ${packageVersion('..')}`,
    `Squid ${versionOf('squid', ['-v'])}`,
    `mitmproxy ${versionOf('mitmdump', ['--version'])}`,
    `http-mitm-proxy ${packageVersion('node_modules/http-mitm-proxy')}`,
    `mockttp ${packageVersion('node_modules/mockttp')}`,
    `nginx ${versionOf('nginx', ['-v'])}`,
    `curl ${versionOf('curl', ['--version'])}`,
    `wrk ${versionOf('wrk', ['-v'])}`,
  ];
  return `- ${cpus().length} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, everything on loopback
- Node ${process.version} with OpenSSL ${process.versions.openssl}
- ${versions.join(', ')}`;
}

function packageVersion(dir: string): string {
  const file = join(import.meta.dirname, '..', dir, 'package.json');
  if (!existsSync(file)) return 'not installed';
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
