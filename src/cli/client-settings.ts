/** The settings that clients need, from the files of the running daemon. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Secret } from '../core/secret.ts';
import type { ClientSettings } from './client-env.ts';
import { curlSettings, javaTrustStore, wgetSettings } from './client-files.ts';
import { readCas } from './ca-file.ts';
import { CliError, notRunning, usage } from './errors.ts';
import { readRunFile } from '../run-file.ts';

export interface ClientWish {
  readonly profile?: string | undefined;
  readonly noProxy?: string | undefined;
  /** Put the proxy's password into its URL, if it requires one. */
  readonly withPassword: boolean;
}

/** @throws CliError where no daemon runs */
export async function clientSettings(
  home: string,
  wish: ClientWish,
): Promise<{ settings: ClientSettings; passwordMissing: boolean }> {
  const run = await readRunFile(home);
  const [address] = run?.proxy ?? [];
  if (run === null) throw notRunning(home);
  if (address === undefined)
    throw new CliError(
      `the proxy listens on ${run.unix_sockets?.join(' and ')} alone, which no variable of a client can name`,
      'add an address, such as 127.0.0.1:8740, to listen in mtlsd.yaml',
    );
  const proxy = new URL(`http://${address}`);
  if (wish.profile !== undefined) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(wish.profile))
      throw usage(`${JSON.stringify(wish.profile)} is not the name of a profile`, 'mtlsd cert list shows them');
    proxy.username = wish.profile;
  }
  const password = await proxyPassword(home, wish.profile);
  if (password && wish.withPassword) {
    proxy.username ||= 'mtlsd';
    proxy.password = encodeURIComponent(password.reveal());
  }
  const { path: caFile, current, next } = await readCas(home);
  const bundleFile = join(home, 'ca/bundle.pem');
  const settings = {
    proxy,
    caFile,
    bundleFile,
    noProxy: wish.noProxy ?? '',
    javaTrustStore: await javaTrustStore(home, [current, ...(next ? [next] : [])]),
    wgetrc: await wgetSettings(home, bundleFile, process.env),
    curlHome: await curlSettings(home, process.env),
  };
  return { settings, passwordMissing: password !== null && !wish.withPassword };
}

/** As the daemon reads it; null if it requires none. Only a settings file can ask for one. */
async function proxyPassword(home: string, profile: string | undefined): Promise<Secret | null> {
  const text = await readFile(join(home, 'mtlsd.yaml'), 'utf8').catch(() => '');
  if (!/^\s*auth\s*:/m.test(text)) return null;
  const { loadSettings } = await import('../settings/load.ts');
  const { settingSecret } = await import('../settings/secret.ts');
  const { auth } = await loadSettings({ home }, process.env);
  if (!auth) return null;
  const source = 'password' in auth ? auth.password : auth.users.get(profile ?? '');
  if (!source)
    throw usage(
      `the proxy has a password for each user, and ${profile === undefined ? 'no user is named' : `none for ${profile}`}`,
      `name one with --profile: ${'users' in auth ? [...auth.users.keys()].join(', ') : ''}`,
    );
  return settingSecret(source, 'auth');
}
