/** NSS databases: where Firefox, and Chromium on Linux, look for CAs of the user. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../programs.ts';
import { type CaFile, storeName, type TrustStore } from './trust-store.ts';

/** Those that exist. `tool` is null where certutil is not installed. */
export async function nssStores(ca: CaFile): Promise<{ stores: TrustStore[]; tool: string | null }> {
  // Windows has a certutil of its own that is something else.
  const tool = process.platform === 'win32' ? null : await findProgram('certutil');
  const certutil = tool ?? 'certutil';
  const stores = (await databases()).map(({ folder, name, used }): TrustStore => {
    const at = ['-d', `sql:${folder}`, '-n', storeName(ca)];
    return {
      name,
      kind: 'nss',
      used,
      isInstalled: async () => tool !== null && (await succeeds(tool, ['-L', ...at])),
      // C: a CA that is trusted to certify servers, and for nothing else.
      install: [[certutil, '-A', ...at, '-t', 'C,,', '-i', ca.path]],
      uninstall: [[certutil, '-D', ...at]],
    };
  });
  return { stores, tool };
}

interface Database {
  readonly folder: string;
  readonly name: string;
  readonly used: string;
}

async function databases(): Promise<Database[]> {
  const home = homedir();
  const found: Database[] = [];
  for (const folder of [join(home, '.pki/nssdb'), join(home, 'snap/chromium/current/.pki/nssdb')]) {
    if (await isDatabase(folder))
      found.push({ folder, name: `the user's NSS database (${folder})`, used: 'Chromium and Chrome' });
  }
  const profiles = [
    '.mozilla/firefox',
    'snap/firefox/common/.mozilla/firefox',
    'Library/Application Support/Firefox/Profiles',
  ];
  for (const parent of profiles.map((path) => join(home, path))) {
    for (const entry of await readdir(parent).catch(() => [])) {
      const folder = join(parent, entry);
      if (await isDatabase(folder))
        found.push({ folder, name: `the Firefox profile ${basename(folder)}`, used: 'Firefox' });
    }
  }
  return found;
}

async function isDatabase(folder: string): Promise<boolean> {
  return (await stat(join(folder, 'cert9.db')).catch(() => null)) !== null;
}

async function succeeds(program: string, args: string[]): Promise<boolean> {
  return promisify(execFile)(program, args).then(
    () => true,
    () => false,
  );
}
