import { Command } from 'commander';
import type { Anchor } from '../../../admin/routes/anchors.ts';
import { readAnchorFile } from '../../../certs/store/anchors.ts';
import { loadTrust } from '../../../certs/trust.ts';
import { certificateFacts } from '../../../core/facts.ts';
import { withAnyApi } from '../../api/any.ts';
import { CliError } from '../../errors.ts';
import { print, printJson } from '../../output.ts';
import { confirm, isInteractive } from '../../prompt.ts';
import { parsePattern } from '../../target.ts';
import { factsText } from '../../words/entry.ts';

interface Options {
  readonly home?: string;
  readonly host?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** A trusted CA can issue a certificate for every host, so the command shows it and asks for confirmation. */
export function trustAddCommand(): Command {
  return new Command('add')
    .description(
      'Trusts a CA to issue server certificates, for one host or for every host. Shows its fingerprint and asks first. A copy is kept in the home folder.',
    )
    .argument('<file>', 'one or more CA certificates, PEM or DER')
    .option('--host <host>', 'for HOST, HOST:PORT, HOST:* or "*.SUFFIX" only (default: every host)')
    .option('-y, --yes', 'without asking')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd trust add corp-root.pem
  mtlsd probe https://dev.corp.example/ --save-ca dev-ca.pem && mtlsd trust add dev-ca.pem --host dev.corp.example`,
    )
    .action(async (file: string, _options, command: Command) => {
      const { home, host, yes, json } = command.optsWithGlobals<Options>();
      const pem = await readAnchorFile(file);
      const { certificates } = loadTrust({ system: false, ca: [{ pem, file }] });
      const facts = certificates.map(certificateFacts);
      const where = host ?? 'every host';
      if (!json) for (const each of facts) print(factsText(each, null));
      // Without a terminal, the command itself is the confirmation.
      if (
        !yes &&
        isInteractive() &&
        !(await confirm(`Trust ${facts.length === 1 ? 'this CA' : 'these CAs'} for ${where}?`))
      )
        throw new CliError('nothing was changed');
      const place = host === undefined ? null : parsePattern(host);
      await withAnyApi(home, async (api) => {
        const { body } = await api.call<Anchor>('POST', '/api/v1/trust/anchors', {
          body: {
            cert_pem: pem,
            ...(place && { host: place.host, ...(place.port !== undefined && { port: place.port }) }),
          },
        });
        if (json) printJson(body);
        else print(`trusted for ${where}${api.daemon === null ? '; takes effect at the next start' : ''}\n`);
      });
    });
}
