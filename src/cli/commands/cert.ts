import { Command } from 'commander';
import { addCommand } from './cert/add.ts';
import { enrollCommand } from './cert/enroll.ts';
import { inspectCommand } from './cert/inspect.ts';
import { listCommand, showCommand } from './cert/list.ts';
import { removeCommand, switchCommand } from './cert/remove.ts';
import { renewCommand } from './cert/renew.ts';
import { setCommand } from './cert/set.ts';

/** Works on the daemon that runs, else on certificates.yaml itself. */
export function certCommand(): Command {
  const cert = new Command('cert')
    .description('Client certificates and the hosts that they are for. Works with and without a running daemon.')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd cert add api.partner.example --pfx partner.p12
  mtlsd cert add '*.corp.example:*' --cert me.crt --key me.key --name corp
  mtlsd cert list
  mtlsd cert show corp`,
    );
  for (const make of [listCommand, showCommand, addCommand, setCommand, removeCommand]) cert.addCommand(make());
  return cert
    .addCommand(switchCommand('enable'))
    .addCommand(switchCommand('disable'))
    .addCommand(inspectCommand())
    .addCommand(renewCommand())
    .addCommand(enrollCommand());
}
