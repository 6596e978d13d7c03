import { Command } from 'commander';
import type { StatusAnswer } from '../../admin/routes/status.ts';
import { asMtlsdError } from '../../core/errors.ts';
import { homeDirectory } from '../../home.ts';
import { anyApi } from '../api/any.ts';
import { type Api, withApi } from '../api/api.ts';
import { failed, type CheckResult } from '../doctor/check.ts';
import { checkClients, checkShell } from '../doctor/clients.ts';
import { checkConfiguration } from '../doctor/configuration.ts';
import { checkCa, checkClock, checkDaemon, checkHome } from '../doctor/installation.ts';
import { checkTrustOfClients } from '../doctor/records.ts';
import { checkRevocation } from '../doctor/revocation.ts';
import { checkStore } from '../doctor/store.ts';
import { count, paint, print, printJson, progress } from '../output.ts';
import { readRunFile } from '../../run-file.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Checks home, permissions, CA, ports, store, expiry, revocation, clock, and with a real request whether each kind of client on this machine uses the proxy and trusts the local CA; says how to fix each. Exit code 1 where something fails.',
    )
    .option('--no-clients', 'leave out the clients, which are started one by one')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd doctor\n  mtlsd run -- mtlsd doctor    as a program under mtlsd run would find it',
    )
    .action(async (_options, command: Command) => {
      const {
        home: flag,
        clients,
        json,
      } = command.optsWithGlobals<{ home?: string; clients: boolean; json?: boolean }>();
      const findings = await examine(homeDirectory(flag, process.env), clients);
      if (json) printJson(findings);
      else
        print(
          findings
            .filter(({ state }) => state !== 'skipped')
            .map(text)
            .join('') + summary(findings),
        );
      if (findings.some(({ state }) => state === 'failed')) process.exitCode = 1;
    });
}

async function examine(home: string, clients: boolean): Promise<CheckResult[]> {
  const findings = await checkHome(home);
  if (findings[0]?.state === 'failed') return findings;
  findings.push(...(await checkCa(home)), ...(await checkClock(home)), ...(await checkDaemon(home)));
  findings.push(
    ...(await guarded('store', () => withApi(anyApi(home), checkStore))),
    ...(await guarded('revocation', () => withApi(anyApi(home), checkRevocation))),
    ...(await guarded('clients', () => withApi(anyApi(home), checkTrustOfClients))),
    checkShell((await readRunFile(home))?.proxy ?? []),
  );
  const daemon = findings.find(({ check }) => check === 'daemon');
  if (
    !clients ||
    daemon?.state !== 'ok' ||
    findings.some(({ check, state }) => check === 'local CA' && state === 'failed')
  )
    return findings;
  const shown = progress('asking the clients on this machine …');
  findings.push(...(await guarded('settings of clients', checkConfiguration)));
  findings.push(...(await guarded('clients', () => withApi(anyApi(home), (api) => clientsOf(api, home)))));
  shown.done();
  return findings;
}

async function clientsOf(api: Api, home: string): Promise<CheckResult[]> {
  const { ca } = (await api.call<StatusAnswer>('GET', '/api/v1/status')).body;
  return checkClients(home, ca);
}

/** What can't be looked at is a finding too, and no end of the rest. */
async function guarded(check: string, look: () => Promise<CheckResult[]>): Promise<CheckResult[]> {
  try {
    return await look();
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return [failed(check, message.split('\n')[0] ?? message, hint ?? asMtlsdError(error).hint)];
  }
}

const MARKS = {
  ok: ['green', 'ok'],
  warning: ['yellow', 'warning'],
  failed: ['red', 'failed'],
  skipped: ['dim', 'skipped'],
} as const;

function text({ check, state, message, next }: CheckResult): string {
  const [colour, word] = MARKS[state];
  return `${paint(colour, word.padEnd(8))} ${check}: ${message}\n${next === null ? '' : `         next: ${next}\n`}`;
}

function summary(findings: readonly CheckResult[]): string {
  const failures = findings.filter(({ state }) => state === 'failed').length;
  const warnings = findings.filter(({ state }) => state === 'warning').length;
  const skips = findings.filter(({ state }) => state === 'skipped').length;
  const rest = skips === 0 ? '' : `; ${count(skips, 'check')} skipped (--json lists them)`;
  return failures + warnings === 0
    ? `\nAll is well${rest}.\n`
    : `\n${count(failures, 'failure')}, ${count(warnings, 'warning')}${rest}\n`;
}
