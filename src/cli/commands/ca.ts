import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { certificateFacts } from '../../core/facts.ts';
import { homeDirectory } from '../../home.ts';
import { type ReadCa, readCas } from '../ca-file.ts';
import { CliError } from '../errors.ts';
import { localTime, paint, pairs, print, printJson } from '../output.ts';
import { nssStores } from '../trust-stores/nss.ts';
import { systemStore } from '../trust-stores/system.ts';
import { installCommand } from './ca/install.ts';
import { rotateCommand } from './ca/rotate.ts';

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly format: 'pem' | 'der';
  readonly out?: string;
  readonly next?: boolean;
}

export function caCommand(): Command {
  return new Command('ca')
    .description(
      'The local CA, which signs the certificates that the daemon shows to clients. It was made for this installation alone, unless ca.cert in mtlsd.yaml names your own.',
    )
    .addHelpText(
      'after',
      `
Examples:
  curl --cacert "$(mtlsd ca path)" --proxy http://127.0.0.1:8740 https://api.partner.example/
  mtlsd ca export --format der --out mtlsd.crt
  mtlsd ca install --dry-run
  mtlsd ca rotate --overlap 14d`,
    )
    .addCommand(pathCommand())
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .addCommand(installCommand('install'))
    .addCommand(installCommand('uninstall'))
    .addCommand(rotateCommand());
}

function pathCommand(): Command {
  return new Command('path')
    .description('The path of its certificate, for the option or variable of a client.')
    .option('--bundle', "of the bundle with the system's CAs instead, for clients that replace theirs")
    .action(async (_options, command: Command) => {
      const { home, bundle } = command.optsWithGlobals<{ home?: string; bundle?: boolean }>();
      const { path } = await readCas(homeDirectory(home, process.env));
      print(bundle ? path.replace(/ca\.pem$/, 'bundle.pem') : path);
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('What its certificate says, and which stores of this machine have it.')
    .option('--json', 'as JSON')
    .action(async (_options, command: Command) => {
      const { home, json } = command.optsWithGlobals<Options>();
      const folder = homeDirectory(home, process.env);
      const { path, current, next } = await readCas(folder);
      const stores = await storesOf(current);
      const rotation = next && {
        takes_over: await takesOver(folder),
        ...certificateFacts(next.certificate),
        stores: await storesOf(next),
      };
      if (json) return printJson({ path, ...certificateFacts(current.certificate), stores, rotation });
      const own = (await stat(join(folder, 'ca/ca.key')).catch(() => null)) === null;
      print(shown(current, stores, path, own));
      if (rotation && next)
        print(`\nA new CA takes over at ${localTime(rotation.takes_over)}:\n${shown(next, rotation.stores, path)}`);
    });
}

/** The file holds its key too, and is there for the user of the daemon. */
async function takesOver(home: string): Promise<string> {
  const text = await readFile(join(home, 'ca/next.pem'), 'latin1').catch(() => '');
  return /^takes over: (\S+)$/m.exec(text)?.[1] ?? 'an unknown time';
}

interface InStore {
  readonly store: string;
  readonly used: string;
  readonly installed: boolean;
}

async function storesOf(ca: ReadCa): Promise<InStore[]> {
  const system = await systemStore(ca);
  const { stores } = await nssStores(ca);
  return Promise.all(
    [...(system ? [system] : []), ...stores].map(async (store) => ({
      store: store.name,
      used: store.used,
      installed: await store.isInstalled(),
    })),
  );
}

function shown({ certificate }: ReadCa, stores: readonly InStore[], path: string, own = false): string {
  const facts = certificateFacts(certificate);
  return pairs([
    ['subject', facts.subject],
    ['valid', `${facts.not_before} to ${facts.not_after}`],
    ['key', facts.key],
    ['SHA-256', facts.fingerprint256],
    ['file', path],
    ['signs', own ? 'the CA of ca.cert in mtlsd.yaml, which clients trust by this one' : null],
    ...stores.map(
      ({ store, used, installed }) =>
        [installed ? 'trusted' : 'not in', `${installed ? paint('green', store) : store}: ${used}`] as const,
    ),
  ]);
}

function exportCommand(): Command {
  return new Command('export')
    .description('Its certificate, to standard output or a file. The key is never exported.')
    .addOption(
      new Option('--format <format>', 'PEM for most, DER for phones and Windows')
        .choices(['pem', 'der'])
        .default('pem'),
    )
    .option('--next', 'the new CA of a rotation alone; PEM has both without it, and DER the present one')
    .option('--out <file>', 'write it there')
    .action(async (_options, command: Command) => {
      const { home, format, out, next: wantsNext } = command.optsWithGlobals<Options>();
      const { pem, current, next } = await readCas(homeDirectory(home, process.env));
      if (wantsNext && !next) throw new CliError('no rotation is under way', 'mtlsd ca rotate makes a new CA');
      const one = wantsNext && next ? next : current;
      const content = format === 'der' ? one.certificate.raw : one === next ? one.pem : pem;
      if (out === undefined) process.stdout.write(content);
      else {
        await writeFile(out, content);
        print(`wrote ${out}`);
      }
    });
}
