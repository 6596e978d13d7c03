import { Command } from 'commander';
import type { Anchor } from '../../admin/routes/anchors.ts';
import type { TrustFields } from '../../certs/store/schema.ts';
import { withAnyApi } from '../api/any.ts';
import type { Api } from '../api/api.ts';
import { CliError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import { parsePattern } from '../target.ts';
import { anchorsText } from '../words/anchor.ts';
import { trustAddCommand } from './trust/add.ts';

/** Works on the daemon that runs, else on certificates.yaml itself. */
export function trustCommand(): Command {
  return new Command('trust')
    .description('Which CAs are trusted to issue server certificates. Works with and without a running daemon.')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd trust list
  mtlsd trust add corp-root.pem                           for every host
  mtlsd trust add partner-ca.pem --host api.partner.example
  mtlsd trust remove 'CN=Corp Root CA'`,
    )
    .addCommand(listCommand())
    .addCommand(trustAddCommand())
    .addCommand(removeCommand());
}

function listCommand(): Command {
  return new Command('list')
    .alias('ls')
    .description('The CAs that are trusted besides those of the system, and for which hosts.')
    .option('--json', 'as JSON')
    .action(async (_options, command: Command) => {
      const { home, json } = command.optsWithGlobals<{ home?: string; json?: boolean }>();
      await withAnyApi(home, async (api) => {
        const { body: trust } = await api.call<TrustFields>('GET', '/api/v1/trust');
        const anchors = await anchorsOf(api);
        if (json) printJson({ system: trust.system ?? true, anchors });
        else print(anchorsText(trust.system ?? true, anchors));
      });
    });
}

function removeCommand(): Command {
  return new Command('remove')
    .alias('rm')
    .description('Stops trusting a CA. A copy that mtlsd keeps is deleted; other files stay.')
    .argument('<ca>', 'its file, subject or SHA-256 fingerprint, as in mtlsd trust list')
    .option('--host <host>', 'for HOST, HOST:PORT or HOST:* only (default: wherever it is trusted)')
    .addHelpText('after', "\nExample:\n  mtlsd trust remove 'CN=Corp Root CA' --host api.corp.example")
    .action(async (wanted: string, _options, command: Command) => {
      const { home, host } = command.optsWithGlobals<{ home?: string; host?: string }>();
      await withAnyApi(home, async (api) => {
        const anchor = oneOf(await anchorsOf(api), wanted);
        const places = host === undefined ? [...(anchor.everywhere ? [null] : []), ...anchor.rules] : [host];
        for (const place of places) {
          const { host: name, port = 443 } = place === null ? { host: undefined } : parsePattern(place);
          const query = new URLSearchParams({
            file: anchor.file,
            ...(name !== undefined && { host: name, port: String(port) }),
          });
          await api.call('DELETE', `/api/v1/trust/anchors?${query.toString()}`);
          print(`removed ${anchor.certificates[0]?.subject ?? anchor.file} for ${place ?? 'every host'}`);
        }
      });
    });
}

async function anchorsOf(api: Api): Promise<readonly Anchor[]> {
  return (await api.call<{ anchors: readonly Anchor[] }>('GET', '/api/v1/trust/anchors')).body.anchors;
}

/** @throws CliError where none or several are meant */
function oneOf(anchors: readonly Anchor[], wanted: string): Anchor {
  const bare = wanted.replaceAll(':', '').toUpperCase();
  const isFingerprint = /^[0-9A-F]{16,64}$/.test(bare);
  const found = anchors.filter(
    ({ file, certificates }) =>
      file === wanted ||
      certificates.some(
        ({ subject, subject_name, fingerprint256 }) =>
          subject === wanted ||
          subject_name.common_name === wanted ||
          (isFingerprint && fingerprint256.replaceAll(':', '').startsWith(bare)),
      ),
  );
  const [anchor] = found;
  if (!anchor) throw new CliError(`no trusted CA is ${wanted}`, 'mtlsd trust list shows what is trusted');
  if (found.length > 1)
    throw new CliError(
      `${found.length} files hold ${wanted}: ${found.map(({ file }) => file).join(', ')}`,
      'name the file',
    );
  return anchor;
}
