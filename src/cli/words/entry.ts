/** An entry of the store in words. */
import type { EntryAnswer } from '../../admin/schemas/certificate.ts';
import type { Diagnosis } from '../../certs/identity/identity.ts';
import type { MaterialFields } from '../../certs/store/schema.ts';
import type { CertificateFacts } from '../../core/facts.ts';
import { inDays, localTime, paint, pairs, table } from '../output.ts';

export function entryTable(entries: readonly EntryAnswer[]): string {
  return table(
    ['NAME', 'HOST', 'PORT', 'SUBJECT', 'EXPIRES', 'STATE', 'LAST USED'],
    entries.map((entry) => [
      entry.profile === null ? entry.name : `${entry.name} (profile ${entry.profile})`,
      entry.host,
      entry.port === '*' ? 'any' : String(entry.port),
      entry.facts[0]?.subject ?? '',
      entry.days_left === null ? '' : inDays(entry.days_left),
      stateOf(entry),
      entry.last_used === null ? '' : localTime(entry.last_used),
    ]),
  );
}

/** The one thing that matters most about it. */
function stateOf({ enabled, usable, problems, shadowed_by }: EntryAnswer): string {
  if (!enabled) return paint('dim', 'disabled');
  const error = problems.find(({ severity }) => severity === 'error');
  if (!usable) return paint('red', `unusable: ${error?.code ?? 'not loaded'}`);
  if (shadowed_by !== null) return paint('yellow', `shadowed by ${shadowed_by}`);
  return problems[0] ? paint('yellow', problems[0].code) : paint('green', 'ok');
}

export function entryText(entry: EntryAnswer): string {
  const [leaf, ...rest] = entry.facts;
  const head = pairs([
    ['name', paint('bold', entry.name)],
    ['for', `${placeText(entry)}${entry.profile === null ? '' : `, clients with profile ${entry.profile} only`}`],
    ['state', stateOf(entry)],
    ['files', filesText(entry)],
    ['passphrase', passphraseText(entry.passphrase)],
    ['sent', entry.withhold_unverified ? 'only to servers that pass verification' : null],
    ['renewed', renewText(entry)],
    ['last used', entry.last_used === null ? 'not since the daemon started' : localTime(entry.last_used)],
    ['line', `${entry.line} of certificates.yaml`],
  ]);
  const certificate = leaf ? `\n${factsText(leaf, entry.days_left)}` : '';
  const chain = rest.length === 0 ? '' : pairs([['chain', rest.map(({ subject }) => subject).join('\n')]]);
  return `${head}${certificate}${chain}${problemsText(entry.problems)}`;
}

export function factsText(facts: CertificateFacts, daysLeft: number | null): string {
  const until = `${facts.not_before} to ${facts.not_after}`;
  return pairs([
    ['subject', facts.subject],
    ['issuer', facts.self_signed ? 'itself (self-signed)' : facts.issuer],
    ['names', facts.sans.length === 0 ? null : facts.sans.join(', ')],
    ['valid', daysLeft === null ? until : `${until} (${daysLeft < 0 ? 'ended' : 'ends'} ${inDays(daysLeft)})`],
    ['key', `${facts.key}, signed with ${facts.signature}`],
    ['usage', facts.extended_key_usage?.join(', ') ?? null],
    ['serial', facts.serial],
    ['SHA-256', facts.fingerprint256],
  ]);
}

export function problemsText(problems: readonly Diagnosis[]): string {
  return problems
    .map(({ code, severity, message, hint }) => {
      const colour = severity === 'error' ? 'red' : 'yellow';
      return `\n${paint(colour, severity)} ${code}: ${message}\n  next: ${hint}\n`;
    })
    .join('');
}

export const placeText = ({ host, port }: Pick<EntryAnswer, 'host' | 'port'>): string =>
  port === '*' ? `${host}, any port` : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function filesText({ cert, key, pfx, alias }: EntryAnswer): string {
  if (pfx !== null) return alias === null ? materialText(pfx) : `${materialText(pfx)}, the key named ${alias}`;
  return [cert, key].flatMap((material) => (material === null ? [] : materialText(material))).join(' and ');
}

function materialText(material: MaterialFields): string {
  if (typeof material === 'string') return material;
  if ('env' in material) return `the variable ${material.env}`;
  const { command, refresh } = material;
  return `the command ${command.join(' ')}${refresh === undefined ? '' : `, again every ${refresh}`}`;
}

function failureText(error: string, failures: number): string {
  if (failures === 0) return error;
  return `failed ${failures === 1 ? 'once' : `${failures} times`}: ${error}`;
}

function renewText({ renew, renewal }: EntryAnswer): string | null {
  if (renew === null) return null;
  const { est, step, command = [] } = renew;
  const via =
    est === undefined ? (step === undefined ? `by ${command.join(' ')}` : `by step-ca ${step}`) : `by EST ${est}`;
  if (renewal === null) return `${via}; not while no daemon runs, or the entry can't be used`;
  const { last, next, last_error, failures } = renewal;
  return [
    via,
    ...(last === null ? [] : [`last ${localTime(last)}`]),
    ...(next !== null ? [`next ${localTime(next)}`] : last_error === null ? ['under way now'] : []),
    ...(last_error === null ? [] : [paint('red', failureText(last_error, failures))]),
  ].join('\n');
}

function passphraseText(source: EntryAnswer['passphrase']): string | null {
  if (source === null) return null;
  if ('env' in source) return `from the variable ${source.env}`;
  if ('file' in source) return `from the file ${source.file}`;
  return 'command' in source ? `from the command ${source.command.join(' ')}` : 'in certificates.yaml';
}
