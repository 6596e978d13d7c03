/** Settings of clients that no variable of `mtlsd run` beats: named, so that a person can change them. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../programs.ts';
import { type CheckResult, ok, warning } from './check.ts';

interface Setting {
  readonly client: string;
  /** Below the user's folder. */
  readonly file: string;
  /** What in it names a proxy or a CA. */
  readonly names: RegExp;
}

// biome-ignore format: a table reads best as a table
const SETTINGS: readonly Setting[] = [
  { client: 'Maven', file: '.m2/settings.xml', names: /<proxy>(?![^]*?<active>\s*false)[^]*?<\/proxy>/ },
  { client: 'Gradle', file: '.gradle/gradle.properties', names: /^\s*systemProp\.(?:https?\.proxyHost|javax\.net\.ssl\.trustStore)\s*[=:]/m },
  { client: 'conda', file: '.condarc', names: /^proxy_servers:/m },
  { client: 'Yarn', file: '.yarnrc.yml', names: /^(?:httpsCaFilePath|caFilePath):/m },
  { client: 'Ruby', file: '.gemrc', names: /^:?(?:http_proxy|ssl_ca_cert):/m },
  { client: 'bundler', file: '.bundle/config', names: /^BUNDLE_SSL_CA_CERT:/m },
];

export async function checkConfiguration(): Promise<CheckResult[]> {
  const findings: CheckResult[] = [];
  for (const { client, file, names } of SETTINGS) {
    const path = join(homedir(), file);
    const text = await readFile(path, 'utf8').catch(() => '');
    if (names.test(text))
      findings.push(
        warning(
          'settings of clients',
          `${path} names a proxy or a CA, which ${client} uses in place of those of mtlsd run`,
          `take it out of ${path}, or name the proxy and ca/bundle.pem there`,
        ),
      );
  }
  const git = await gitSettings();
  if (git.length > 0)
    findings.push(
      warning(
        'settings of clients',
        `git has ${git.join(', ')}, which it uses in place of those of mtlsd run`,
        `git config --global --unset ${git[0]}`,
      ),
    );
  return findings.length > 0 ? findings : [ok('settings of clients', 'none names another proxy or CA')];
}

/** Those for one URL or remote; the general ones are beaten. */
async function gitSettings(): Promise<string[]> {
  const git = await findProgram('git');
  if (git === null) return [];
  const pattern = String.raw`^(http\..+\.(proxy|sslcainfo|sslcapath)|remote\..+\.proxy)$`;
  const args = ['config', '--global', '--name-only', '--get-regexp', pattern];
  return promisify(execFile)(git, args).then(
    ({ stdout }) => stdout.split('\n').filter(Boolean),
    () => [],
  );
}
