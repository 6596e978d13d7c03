/** The store on disk, with or without a daemon; and what expires soon. */
import type { EntryAnswer } from '../../admin/schemas/certificate.ts';
import type { StatusAnswer } from '../../admin/routes/status.ts';
import { distinctProblems } from '../../certs/store/changes.ts';
import { expiresSoon } from '../../certs/store/expiry.ts';
import type { Api } from '../api/api.ts';
import { count, inDays } from '../output.ts';
import { failed, type CheckResult, ok, warning } from './check.ts';

export async function checkStore(api: Api): Promise<CheckResult[]> {
  const findings: CheckResult[] = [];
  if (api.daemon) {
    const { store } = (await api.call<StatusAnswer>('GET', '/api/v1/status')).body;
    for (const { line, column, message, expected } of store.rejected?.problems ?? [])
      findings.push(
        failed(
          'store',
          `certificates.yaml:${line}:${column}: ${message}; expected ${expected}`,
          `correct ${store.file}; until then the last good one is used`,
        ),
      );
  }
  const { certificates, total } = (
    await api.call<{ certificates: EntryAnswer[]; total: number }>('GET', '/api/v1/certificates?limit=10000')
  ).body;
  const enabled = certificates.filter((entry) => entry.enabled);
  for (const { name, entries, problem } of distinctProblems(enabled)) {
    if (problem.code === 'CERTIFICATE_EXPIRED') continue; // expiryFindings names it
    const where = entries > 1 ? `${name} and ${count(entries - 1, 'other')}` : name;
    findings.push(
      (problem.severity === 'error' ? failed : warning)('store', `${where}: ${problem.message}`, problem.hint),
    );
  }
  for (const { name, usable, problems, shadowed_by, renew, renewal, days_left } of enabled) {
    const next = `mtlsd cert show ${name}`;
    if (renewal?.last_error)
      findings.push(
        (days_left !== null && days_left < 1 ? failed : warning)(
          'store',
          `${name} could not be renewed: ${renewal.last_error}`,
          // A dry run does not run the entry's command.
          `mtlsd cert renew ${name}${renew?.command === undefined ? ' --dry-run' : ''}`,
        ),
      );
    if (!usable && problems.length === 0) findings.push(failed('store', `${name} can't be used`, next));
    if (shadowed_by !== null)
      findings.push(
        warning(
          'store',
          `${name} is never used: ${shadowed_by} is for the same host and port, later in the file`,
          next,
        ),
      );
  }
  if (findings.length === 0)
    findings.push(
      ok(
        'store',
        `${count(total, 'certificate')}${total > enabled.length ? `, ${total - enabled.length} disabled` : ''}${total === 0 ? '' : ', usable'}`,
      ),
    );
  return [...findings, ...expiryFindings(enabled)];
}

function expiryFindings(entries: readonly EntryAnswer[]): CheckResult[] {
  const findings = entries.flatMap(({ name, facts: [leaf], days_left, renew, pfx }) => {
    if (!leaf || days_left === null) return [];
    if (!expiresSoon(new Date(leaf.not_before), new Date(leaf.not_after), renew !== null)) return [];
    const files = pfx === null ? '--cert FILE --key FILE' : '--pfx FILE';
    const next = renew
      ? `mtlsd cert renew ${name}`
      : `get a new certificate and replace the files, or: mtlsd cert set ${name} ${files}`;
    return days_left < 0
      ? failed('expiry', `${name} expired ${inDays(days_left)}`, next)
      : warning('expiry', `${name} expires ${inDays(days_left)}`, next);
  });
  return findings.length > 0 ? findings : [ok('expiry', 'no certificate expires soon')];
}
