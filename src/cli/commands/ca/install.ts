import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { homeDirectory } from '../../../home.ts';
import { readCas } from '../../ca-file.ts';
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
      const { current, next, previous } = await readCas(homeDirectory(options.home, process.env));
      const changes: Change[] = [];
      for (const ca of [current, ...(next ? [next] : []), ...previous]) {
        // What a rotation has replaced is taken out either way.
        const wanted = previous.includes(ca) ? 'uninstall' : verb;
        const which =
          ca === next ? ' (the new CA)' : ca === current ? (next ? ' (the present CA)' : '') : ' (an earlier CA)';
        for (const store of await storesFor(ca, options, ca !== current)) {
          const place = `${store.name}${which}`;
          if ((await store.isInstalled()) !== (wanted === 'install')) changes.push({ place, store, verb: wanted });
          else if (wanted === verb) print(`${place}: ${verb === 'install' ? 'installed already' : 'not installed'}`);
        }
      }
      if (changes.length === 0) return;
      for (const { place, store, verb } of changes) {
        print(`${place}, used by ${store.used}:`);
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
              changes.reduce((sum, { store, verb }) => sum + store[verb].length, 0),
              'command',
            )}?`,
          ))
        )
          throw new CliError('nothing was changed');
      }
      for (const { place, store, verb } of changes) {
        for (const step of store[verb]) await runStep(step);
        print(`${place}: ${verb === 'install' ? 'installed' : 'removed'}`);
      }
    });
}

interface Change {
  /** For messages. */
  readonly place: string;
  readonly store: TrustStore;
  readonly verb: 'install' | 'uninstall';
}

/** @param told that browsers are left out */
async function storesFor(ca: CaFile, { system, nss }: Options, told: boolean): Promise<TrustStore[]> {
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
      if (!told) process.stderr.write(`mtlsd: browsers are left out: certutil is not installed\nnext: ${hint}\n`);
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
