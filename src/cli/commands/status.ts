import { Command } from 'commander';
import type { StatusAnswer } from '../../admin/routes/status.ts';
import { withDaemon } from '../api/daemon.ts';
import { count, inDays, localTime, paint, pairs, print, printJson } from '../output.ts';
import type { RunFile } from '../../run-file.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('The state of the daemon on one screen. Exit code 1 where none runs.')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd status\n  mtlsd status --json | jq .store.expiring')
    .action(async (_options, command: Command) => {
      const { home, json } = command.optsWithGlobals<{ home?: string; json?: boolean }>();
      await withDaemon(home, async (api) => {
        const { body } = await api.call<StatusAnswer>('GET', '/api/v1/status');
        if (json) printJson({ ...body, admin: api.daemon?.admin });
        else print(statusText(body, api.daemon));
      });
    });
}

function statusText(status: StatusAnswer, run: RunFile | null): string {
  const { store, records, ca } = status;
  const rejected = store.rejected?.problems.map(
    ({ line, column, message, expected }) => `${line}:${column}: ${message}; expected ${expected}`,
  );
  const states = [
    count(store.certificates, 'certificate'),
    store.unusable > 0 ? paint('red', `${store.unusable} unusable`) : null,
    store.enabled < store.certificates ? `${store.certificates - store.enabled} disabled` : null,
  ];
  return pairs([
    [
      'daemon',
      `${status.ready ? paint('green', 'ready') : paint('yellow', 'not ready')}, version ${status.version}, process ${status.pid}, since ${localTime(status.started)}`,
    ],
    ['proxy', status.proxy.map((address) => `http://${address}`).join(', ')],
    ['SOCKS5', status.socks],
    ['local ports', status.listeners.length === 0 ? null : status.listeners.join(', ')],
    ['upstream', status.upstream_proxy.length === 0 ? null : status.upstream_proxy.join(', ')],
    ['admin API', run?.admin ?? null],
    ['home', status.home],
    [
      'local CA',
      [
        `${ca.subject}, until ${ca.not_after.slice(0, 10)}`,
        `SHA-256 ${ca.fingerprint256}`,
        ...(ca.signer === ca.subject ? [] : [`${ca.signer} below it signs`]),
        ...(ca.rotation
          ? [
              paint('yellow', `${ca.rotation.subject} takes over at ${localTime(ca.rotation.takes_over)}`),
              `SHA-256 ${ca.rotation.fingerprint256}`,
            ]
          : []),
      ].join('\n'),
    ],
    ['store', states.filter((state) => state !== null).join(', ')],
    ['expiring', store.expiring.length === 0 ? null : expiringText(store.expiring)],
    [
      'broken',
      rejected
        ? `${paint('red', `${store.file} has a mistake; the last good store is in force`)}\n${rejected.join('\n')}`
        : null,
    ],
    [
      'verification',
      `${store.verification === 'report' ? paint('yellow', 'report') : 'enforce'}, ${count(store.rules, 'rule')}`,
    ],
    ['interception', store.interception],
    ['remembered', `${count(records.exchanges, 'exchange')}, ${count(records.connections, 'connection')}`],
    ['clients', count(status.clients, 'open connection')],
  ]);
}

/** Names shown: with more, the state of the daemon leaves the screen. */
const MOST_EXPIRING = 5;

function expiringText(expiring: StatusAnswer['store']['expiring']): string {
  const lines = expiring
    .toSorted((a, b) => a.days_left - b.days_left)
    .slice(0, MOST_EXPIRING)
    .map(({ name, days_left }) => `${paint('yellow', name)} ${inDays(days_left)}`);
  const more = expiring.length - lines.length;
  return [...lines, ...(more > 0 ? [`${more} more: mtlsd cert list`] : [])].join('\n');
}
