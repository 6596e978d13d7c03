import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { EntryAnswer } from '../../../admin/schemas/certificate.ts';
import { type PassphraseSource, readPassphrase } from '../../../certs/identity/passphrase.ts';
import { enroll, type EnrollmentVia, KEY_KINDS, type KeyKind, namesOfToken } from '../../../certs/renewal/enroll.ts';
import { caUrl } from '../../../certs/renewal/plan.ts';
import { nameFor } from '../../../certs/store/compile.ts';
import { canonicalPattern } from '../../../core/hosts.ts';
import { createFile } from '../../../core/files/atomic-write.ts';
import type { Secret } from '../../../core/secret.ts';
import { homeDirectory } from '../../../home.ts';
import { loadSettings } from '../../../settings/load.ts';
import { withAnyApi } from '../../api/any.ts';
import type { Api } from '../../api/api.ts';
import { connectToCa, trustForCa } from '../../ca-connection.ts';
import { CliError, usage } from '../../errors.ts';
import { printAnswer } from '../../output.ts';
import { askSecret, isInteractive } from '../../prompt.ts';
import { hostOf, parsePattern } from '../../target.ts';
import { writtenText } from './add.ts';

interface Options {
  readonly home?: string;
  readonly host?: string;
  readonly est?: string;
  readonly step?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly passwordCommand?: readonly string[];
  readonly tokenCommand?: readonly string[];
  readonly subject?: string;
  readonly san?: readonly string[];
  readonly trust?: readonly string[];
  readonly key: KeyKind;
  readonly name?: string;
  readonly profile?: string;
  readonly json?: boolean;
}

/** For all of it, two requests and a slow CA. */
const TIMEOUT_MS = 30_000;

export function enrollCommand(): Command {
  return new Command('enroll')
    .description(
      'Gets a first certificate from a CA and adds it for a host: a new key, a request, the files in the home folder, and an entry that renews itself.',
    )
    .argument('[host]', 'HOST, HOST:PORT, HOST:* for any port, or "*.SUFFIX"; port 443 when left out')
    .option('--host <host>', 'the same')
    .option('--est <url>', 'an EST server: https://ca.example/.well-known/est')
    .option('--user <name>', 'the user of the EST server')
    .option('--password-file <file>', 'the password is in this file')
    .option('--password-command <word...>', 'the password is what this program prints')
    .option('--step <url>', 'a step-ca: https://ca.example')
    .option('--token-command <word...>', 'the one-time token is what this program prints: step ca token NAME')
    .option('--subject <name>', "the certificate's common name (default: the user, or the token's subject)")
    .option('--san <name...>', 'DNS names and IP addresses of the certificate')
    .option('--trust <file...>', "CA certificates for the CA's own server (default: what the store trusts)")
    .addOption(new Option('--key <kind>', 'the kind of key').choices(KEY_KINDS).default('p256'))
    .option('--name <name>', 'what to call the entry (default: made from the host)')
    .option('--profile <name>', 'only for clients that ask for this profile')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd cert enroll '*.corp.example:*' --est https://ca.corp.example/.well-known/est --user alice --trust corp-root.pem
  mtlsd cert enroll api.corp.example --step https://ca.corp.example --trust root.pem --token-command step ca token alice`,
    )
    .action(async (argument: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const home = homeDirectory(options.home, process.env);
      const place = parsePattern(hostOf(argument, options.host));
      const via = await viaOf(options);
      const { commonName, names } = namesOf(options, via);
      await withAnyApi(home, async (api) => {
        const trust = await trustForCa(api, home, options.trust ?? []);
        const connect = await connectToCa(trust, await loadSettings({ home }, process.env));
        const files = await freeFiles(api, home, options, place);
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        const enrolled = await enroll({ via, commonName, names, key: options.key, connect, signal });
        await write(files.key, enrolled.keyPem());
        await write(files.cert, enrolled.certPem);
        const { body } = await api.call<EntryAnswer>('POST', '/api/v1/certificates', {
          body: {
            name: files.name,
            host: place.host,
            ...(place.port !== undefined && { port: place.port }),
            cert: files.cert,
            key: files.key,
            ...(options.profile !== undefined && { profile: options.profile }),
            renew: {
              [via.kind]: via.url.href,
              ...(options.trust && { trust: options.trust.map((file) => resolve(file)) }),
            },
          },
        });
        printAnswer(
          options.json,
          body,
          () => `enrolled ${writtenText(body, api)}  renewed by itself from ${via.url.host}\n`,
        );
      });
    });
}

/** @throws CliError, CodedError PASSPHRASE_UNAVAILABLE */
async function viaOf(options: Options): Promise<EnrollmentVia> {
  const { est, step, user, tokenCommand } = options;
  if ((est === undefined) === (step === undefined))
    throw usage('no CA is given, or two', 'give --est URL or --step URL');
  const kind = est === undefined ? 'step' : 'est';
  const url = caUrl(kind, est ?? step ?? '');
  if (!url)
    throw usage(`${est ?? step} is not the https URL of a CA`, 'give https://HOST[:PORT][/PATH] and nothing else');
  if (kind === 'step') {
    if (!tokenCommand) throw usage('no token is given', 'give --token-command step ca token NAME');
    return { kind, url, token: await readPassphrase({ command: tokenCommand, cwd: process.cwd() }) };
  }
  if (user === undefined) throw usage('no user is given', 'give --user NAME');
  return { kind, url, user, password: await passwordOf(options, user) };
}

async function passwordOf({ passwordFile, passwordCommand }: Options, user: string): Promise<Secret> {
  const sources: PassphraseSource[] = [
    ...(passwordFile === undefined ? [] : [{ file: resolve(passwordFile) }]),
    ...(passwordCommand === undefined ? [] : [{ command: passwordCommand, cwd: process.cwd() }]),
  ];
  const [source, second] = sources;
  if (second) throw usage('more than one source of the password is given', 'give one of the --password options');
  if (source) return readPassphrase(source);
  if (isInteractive()) return askSecret(`Password of ${user}: `);
  throw usage(
    'no password is given',
    'give --password-file or --password-command, or run it on a terminal to be asked',
  );
}

function namesOf({ subject, san = [] }: Options, via: EnrollmentVia): { commonName: string; names: readonly string[] } {
  if (via.kind === 'est') return { commonName: subject ?? via.user, names: san };
  const token = namesOfToken(via.token);
  const commonName = subject ?? token?.subject;
  if (commonName === undefined)
    throw new CliError('the program did not print a one-time token', 'give --subject NAME, or another --token-command');
  return { commonName, names: san.length > 0 ? san : (token?.names ?? []) };
}

interface Files {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
}

/** Before the request: otherwise the CA could issue a certificate that can't be stored. */
async function freeFiles(
  api: Api,
  home: string,
  options: Options,
  place: ReturnType<typeof parsePattern>,
): Promise<Files> {
  const host = canonicalPattern(place.host) ?? place.host;
  const wanted = options.name ?? nameFor({ host, port: place.port ?? 443 });
  const { certificates } = (await api.call<{ certificates: EntryAnswer[] }>('GET', '/api/v1/certificates?limit=10000'))
    .body;
  if (certificates.some(({ name }) => name === wanted))
    throw new CliError(`the name ${wanted} is taken`, 'give another with --name NAME');
  const folder = join(home, 'certs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = { cert: join(folder, `${wanted}.crt`), key: join(folder, `${wanted}.key`) };
  for (const file of [files.cert, files.key]) if (existsSync(file)) throw isThere(file);
  return { name: wanted, ...files };
}

async function write(file: string, content: string): Promise<void> {
  if (!(await createFile(file, content, 0o600))) throw isThere(file);
}

function isThere(file: string): CliError {
  return new CliError(`${file} is there already`, 'move it away, or give another name with --name NAME');
}
