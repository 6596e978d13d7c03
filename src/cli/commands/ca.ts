import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { certificateFacts } from '../../core/facts.ts';
import { homeDirectory } from '../../home.ts';
import { readCa } from '../ca-file.ts';
import { paint, pairs, print, printJson } from '../output.ts';
import { nssStores } from '../trust-stores/nss.ts';
import { systemStore } from '../trust-stores/system.ts';
import { installCommand } from './ca/install.ts';

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly format: 'pem' | 'der';
  readonly out?: string;
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
  mtlsd ca install --dry-run`,
    )
    .addCommand(pathCommand())
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .addCommand(installCommand('install'))
    .addCommand(installCommand('uninstall'));
}

function pathCommand(): Command {
  return new Command('path')
    .description('The path of its certificate, for the option or variable of a client.')
    .option('--bundle', "of the bundle with the system's CAs instead, for clients that replace theirs")
    .action(async (_options, command: Command) => {
      const { home, bundle } = command.optsWithGlobals<{ home?: string; bundle?: boolean }>();
      const { path } = await readCa(homeDirectory(home, process.env));
      print(bundle ? path.replace(/ca\.pem$/, 'bundle.pem') : path);
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('What its certificate says, and which stores of this machine have it.')
    .option('--json', 'as JSON')
    .action(async (_options, command: Command) => {
      const { home, json } = command.optsWithGlobals<Options>();
      const ca = await readCa(homeDirectory(home, process.env));
      const facts = certificateFacts(ca.certificate);
      const system = await systemStore(ca);
      const { stores } = await nssStores(ca);
      const installed = [];
      for (const store of [...(system ? [system] : []), ...stores])
        installed.push({ store: store.name, used: store.used, installed: await store.isInstalled() });
      if (json) return printJson({ path: ca.path, ...facts, stores: installed });
      print(
        pairs([
          ['subject', facts.subject],
          ['valid', `${facts.not_before} to ${facts.not_after}`],
          ['key', facts.key],
          ['SHA-256', facts.fingerprint256],
          ['file', ca.path],
          ...installed.map(
            ({ store, used, installed }) =>
              [installed ? 'trusted' : 'not in', `${installed ? paint('green', store) : store}: ${used}`] as const,
          ),
        ]),
      );
    });
}

function exportCommand(): Command {
  return new Command('export')
    .description('Its certificate, to standard output or a file. The key is never exported.')
    .addOption(
      new Option('--format <format>', 'PEM for most, DER for phones and Windows')
        .choices(['pem', 'der'])
        .default('pem'),
    )
    .option('--out <file>', 'write it there')
    .action(async (_options, command: Command) => {
      const { home, format, out } = command.optsWithGlobals<Options>();
      const { pem, certificate } = await readCa(homeDirectory(home, process.env));
      const content = format === 'der' ? certificate.raw : pem;
      if (out === undefined) process.stdout.write(content);
      else {
        await writeFile(out, content);
        print(`wrote ${out}`);
      }
    });
}
