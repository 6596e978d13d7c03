import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { homeDirectory } from '../../../home.ts';
import { readCa } from '../../ca-file.ts';
import { CliError, usage } from '../../errors.ts';
import { count, print } from '../../output.ts';
import { confirm, isInteractive } from '../../prompt.ts';
import { nssStores } from '../../trust-stores/nss.ts';
import { systemStore } from '../../trust-stores/system.ts';
import type { CaFile, Step, TrustStore } from '../../trust-stores/trust-store.ts';

interface Options {
  readonly home?: string;
  readonly system?: boolean;
  readonly nss?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Never silently: a CA in a trust store speaks for every server. The commands are shown, then asked for, then run. */
export function installCommand(verb: 'install' | 'uninstall'): Command {
  return new Command(verb)
    .description(
      verb === 'install'
        ? "Puts its certificate into the trust stores of this machine, so that every client takes the daemon's answers. Shows the commands and asks first."
        : 'Takes it out of them again. Shows the commands and asks first.',
    )
    .option('--system', "the system's store only")
    .option('--nss', 'the NSS databases of browsers only')
    .option('--dry-run', 'show the commands and run none')
    .option('-y, --yes', 'run them without asking')
    .addHelpText('after', `\nExamples:\n  mtlsd ca ${verb} --dry-run\n  mtlsd ca ${verb} --nss`)
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const ca = await readCa(homeDirectory(options.home, process.env));
      const stores = await storesFor(ca, options);
      const concerned: TrustStore[] = [];
      for (const store of stores) {
        if ((await store.isInstalled()) !== (verb === 'install')) concerned.push(store);
        else print(`${store.name}: ${verb === 'install' ? 'installed already' : 'not installed'}`);
      }
      if (concerned.length === 0) return;
      for (const store of concerned) {
        print(`${store.name}, used by ${store.used}:`);
        for (const step of store[verb]) print(`  ${step.map(shown).join(' ')}`);
      }
      if (options.dryRun) return;
      if (!options.yes) {
        if (!isInteractive())
          throw usage(
            'there is no terminal to ask on',
            'add --yes to run these commands, or --dry-run to see them only',
          );
        if (
          !(await confirm(
            `Run ${count(
              concerned.reduce((sum, store) => sum + store[verb].length, 0),
              'command',
            )}?`,
          ))
        )
          throw new CliError('nothing was changed');
      }
      for (const store of concerned) {
        for (const step of store[verb]) await runStep(step);
        print(`${store.name}: ${verb === 'install' ? 'installed' : 'removed'}`);
      }
    });
}

async function storesFor(ca: CaFile, { system, nss }: Options): Promise<TrustStore[]> {
  const both = !system && !nss;
  const stores: TrustStore[] = [];
  if (both || system) {
    const store = await systemStore(ca);
    if (store) stores.push(store);
    else if (system)
      throw new CliError(
        'no tool for the trust store of this system is known',
        `put ${ca.path} there yourself, or use mtlsd run`,
      );
  }
  if (both || nss) {
    const found = await nssStores(ca);
    if (found.tool !== null) stores.push(...found.stores);
    else if (nss || found.stores.length > 0) {
      const hint = 'install it: libnss3-tools on Debian, nss-tools on Fedora, brew install nss on macOS';
      if (nss) throw new CliError('certutil is not installed, which NSS databases need', hint);
      process.stderr.write(`mtlsd: browsers are left out: certutil is not installed\nnext: ${hint}\n`);
    }
    if (nss && found.stores.length === 0)
      throw new CliError('there is no NSS database here', 'start the browser once, which makes it');
  }
  return stores;
}

function runStep([program, ...args]: Step): Promise<void> {
  return new Promise((resolve, reject) => {
    // What the tool says goes to the person, who may have to type a password for sudo.
    const child = spawn(program, args, { stdio: ['inherit', 2, 2] });
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        new CliError(
          `${program} can't be started: ${error.code ?? error.message}`,
          'install it, or run the shown commands yourself',
        ),
      ),
    );
    child.on('close', (code, signal) =>
      code === 0
        ? resolve()
        : reject(
            new CliError(
              `${program} ended with ${code ?? signal}`,
              'read its output above; you can run the commands yourself',
            ),
          ),
    );
  });
}

const shown = (word: string): string =>
  /^[A-Za-z0-9_./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
