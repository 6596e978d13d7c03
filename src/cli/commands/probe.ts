import { Command } from 'commander';
import type { ProbeAnswer } from '../../admin/schemas/probe.ts';
import { withDaemon } from '../api/daemon.ts';
import { usage } from '../errors.ts';
import { print, printJson, progress } from '../output.ts';
import { parseTarget } from '../target.ts';
import { saveCaOf } from '../save-ca.ts';
import { probeText, wouldWork } from '../words/probe.ts';

interface Options {
  readonly home?: string;
  readonly profile?: string;
  readonly certificate?: string;
  readonly ciphers: boolean;
  readonly saveCa?: string;
  readonly json?: boolean;
}

export function probeCommand(): Command {
  return new Command('probe')
    .description(
      'Looks closely at a server: handshakes with and without the certificate, versions, ciphers, its chain and what is wrong with it, whether it asks for a client certificate and from which CAs. No request is sent. Exit code 1 where a request would fail.',
    )
    .argument('<url>', 'https://HOST[:PORT]/…, or HOST[:PORT]')
    .option('--certificate <name>', 'present this entry, or none (default: the one that a request would get)')
    .option('--profile <name>', "as the proxy's user name")
    .option('--no-ciphers', 'leave out the ciphers, which take a handshake each')
    .option(
      '--save-ca <file>',
      'save the CA certificate that the server sends, to trust it; exit code 0 where it was saved',
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd probe https://api.partner.example/\n  mtlsd probe 192.0.2.7:8443 --no-ciphers\n  mtlsd probe https://dev.corp.example/ --save-ca dev-ca.pem',
    )
    .action(async (url: string, _options, command: Command) => {
      const { home, json, profile, certificate, ciphers, saveCa } = command.optsWithGlobals<Options>();
      const { authority, scheme } = parseTarget(url);
      if (scheme === 'http') throw usage(`${url} is plain HTTP, which has no TLS to look at`, 'give an https URL');
      await withDaemon(home, async (api) => {
        const shown = progress(`probing ${authority.text} …`);
        const { body } = await api
          .call<ProbeAnswer>('POST', '/api/v1/probe', {
            body: {
              authority: authority.text,
              ciphers: ciphers && saveCa === undefined,
              ...(profile && { profile }),
              ...(certificate && { certificate: certificate === 'none' ? null : certificate }),
            },
          })
          .finally(() => shown.done());
        if (json) printJson(body);
        if (saveCa !== undefined) {
          const saved = await saveCaOf(body, saveCa);
          if (!json) print(saved);
          return;
        }
        if (!json) print(probeText(body));
        if (!wouldWork(body)) process.exitCode = 1;
      });
    });
}
