/** The system's trust store, by the tools that each system has for it. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { findProgram } from '../programs.ts';
import { type CaFile, type Step, storeName, type TrustStore } from './trust-store.ts';

/** null where no tool is known. */
export async function systemStore(ca: CaFile): Promise<TrustStore | null> {
  if (process.platform === 'darwin') return macStore(ca);
  if (process.platform === 'win32') return windowsStore(ca);
  for (const { program, folder, extension, update, clean } of LINUX) {
    const tool = await findProgram(program);
    if (tool === null || (await stat(folder).catch(() => null)) === null) continue;
    const file = `${folder}/${storeName(ca)}.${extension}`;
    return {
      name: `the system's store (${folder})`,
      kind: 'system',
      used: 'curl, wget, git, Python, Go, Ruby and most others',
      isInstalled: async () => (await readFile(file, 'utf8').catch(() => null)) === ca.pem,
      install: [root('install', '-m', '0644', ca.path, file), root(tool, ...update)],
      uninstall: [root('rm', '-f', file), root(tool, ...clean)],
    };
  }
  return null;
}

// biome-ignore format: a table reads best as a table
/** Debian and Fedora with their derivatives, Arch, openSUSE. Debian's tool leaves the links of removed files, unless an option says otherwise. */
const LINUX = [
  { program: 'update-ca-certificates', folder: '/usr/local/share/ca-certificates', extension: 'crt', update: [], clean: ['--fresh'] },
  { program: 'update-ca-trust', folder: '/etc/pki/ca-trust/source/anchors', extension: 'pem', update: ['extract'], clean: ['extract'] },
  { program: 'update-ca-trust', folder: '/etc/ca-certificates/trust-source/anchors', extension: 'crt', update: ['extract'], clean: ['extract'] },
  { program: 'update-ca-certificates', folder: '/etc/pki/trust/anchors', extension: 'pem', update: [], clean: [] },
] as const;

function root(...step: [string, ...string[]]): Step {
  return process.getuid?.() === 0 ? step : ['sudo', ...step];
}

function macStore(ca: CaFile): TrustStore {
  const keychain = '/Library/Keychains/System.keychain';
  const sha1 = ca.fingerprint1.replaceAll(':', '');
  return {
    name: "the system's keychain",
    kind: 'system',
    used: 'Safari, Chrome, curl and whatever asks the system',
    isInstalled: async () => (await output('security', ['find-certificate', '-a', '-Z', keychain])).includes(sha1),
    install: [root('security', 'add-trusted-cert', '-d', '-r', 'trustRoot', '-k', keychain, ca.path)],
    uninstall: [root('security', 'delete-certificate', '-Z', sha1, '-t', keychain)],
  };
}

function windowsStore(ca: CaFile): TrustStore {
  const sha1 = ca.fingerprint1.replaceAll(':', '').toLowerCase();
  return {
    name: "the user's root store",
    kind: 'system',
    used: 'Edge, Chrome, PowerShell and whatever asks Windows',
    isInstalled: async () => (await output('certutil', ['-user', '-store', 'Root', sha1])).toLowerCase().includes(sha1),
    install: [['certutil', '-user', '-addstore', 'Root', ca.path]],
    uninstall: [['certutil', '-user', '-delstore', 'Root', sha1]],
  };
}

async function output(program: string, args: string[]): Promise<string> {
  return promisify(execFile)(program, args).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
