/** An entry of the store in words. */
import type { CertificateFacts, Entry } from '../api/document.ts';
import type { Verdict } from './exchange.ts';
import { codeWords } from './exchange.ts';
import { count, localTime } from './text.ts';

/** The one thing that matters most about it. */
export function entryState({ enabled, usable, problems, shadowed_by: shadow }: Entry): Verdict {
  if (!enabled) return { tone: 'plain', text: 'disabled' };
  const error = problems.find(({ severity }) => severity === 'error');
  if (!usable) return { tone: 'bad', text: codeWords(error?.code ?? 'NOT_LOADED') };
  if (shadow !== null) return { tone: 'warn', text: 'shadowed' };
  return problems[0] ? { tone: 'warn', text: codeWords(problems[0].code) } : { tone: 'good', text: 'usable' };
}

export interface Lifetime {
  /** Of the whole life, 0 to 1. */
  readonly spent: number;
  readonly tone: 'good' | 'warn' | 'bad';
  readonly text: string;
}

/** null where the certificate holds no readable times. */
export function lifetimeOf(facts: CertificateFacts, daysLeft: number | null, nowMs: number): Lifetime | null {
  const from = Date.parse(facts.not_before);
  const until = Date.parse(facts.not_after);
  if (Number.isNaN(from) || Number.isNaN(until) || until <= from) return null;
  const days = daysLeft ?? Math.floor((until - nowMs) / 86_400_000);
  const spent = Math.min(1, Math.max(0, (nowMs - from) / (until - from)));
  if (days < 0) return { spent: 1, tone: 'bad', text: `expired ${count(-days, 'day')} ago` };
  // The first announcement of the daemon comes at 30 days, and a certificate of a few days never has more.
  const soon = days < 30 && spent > 2 / 3;
  return { spent, tone: soon ? 'warn' : 'good', text: days === 0 ? 'ends today' : `${count(days, 'day')} left` };
}

/** `CN=alice, O=Example` -> `alice` */
export function shortName(facts: CertificateFacts | undefined): string {
  return facts?.subject_name.common_name ?? facts?.subject ?? '';
}

/** Where the files are, in words. */
export function filesText({ cert, key, pfx, alias }: Entry): string {
  if (pfx !== null) return alias === null ? materialText(pfx) : `${materialText(pfx)}, the key named ${alias}`;
  return [cert, key].flatMap((material) => (material === null ? [] : materialText(material))).join(' and ');
}

function materialText(material: NonNullable<Entry['cert']>): string {
  if (typeof material === 'string') return material;
  if ('env' in material) return `the variable ${material.env}`;
  const { command, refresh } = material;
  return `the command ${command.join(' ')}${refresh === undefined ? '' : `, again every ${refresh}`}`;
}

/** How it is renewed and what came of it; null where it is not. */
export function renewalText({ renew, renewal }: Pick<Entry, 'renew' | 'renewal'>): string | null {
  if (renew === null) return null;
  const via = renew.est ?? renew.step ?? `the command ${renew.command?.join(' ') ?? ''}`;
  const { last = null, next = null, last_error: error = null } = renewal ?? {};
  return [
    `from ${via}`,
    ...(last === null ? [] : [`last ${localTime(last)}`]),
    ...(next === null ? [] : [`next ${localTime(next)}`]),
    ...(error === null ? [] : [error]),
  ].join('; ');
}

export function passphraseText(source: Entry['passphrase']): string {
  if (source === null) return 'none';
  if ('env' in source) return `from the variable ${source.env}`;
  if ('file' in source) return source.file.startsWith('files/') ? 'kept by mtlsd' : `from the file ${source.file}`;
  return 'command' in source ? `from the command ${source.command.join(' ')}` : 'in certificates.yaml';
}
