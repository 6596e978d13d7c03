/** Whether the CRLs that our own certificates name list them. */
import type { OwnRevocationList } from '../../admin/routes/revocation.ts';
import type { Api } from '../api/api.ts';
import { count } from '../output.ts';
import { type CheckResult, ok, skipped, warning } from './check.ts';

export async function checkRevocation(api: Api): Promise<CheckResult[]> {
  const { certificates } = (await api.call<OwnRevocationList>('GET', '/api/v1/revocation')).body;
  if (certificates.length === 0) return [skipped('revocation', 'no certificate names a CRL by http')];
  const findings = certificates.flatMap(({ name, problem }) =>
    problem ? [warning('revocation', `${name}: ${problem.message}`, problem.hint)] : [],
  );
  const good = count(certificates.length, 'certificate');
  return findings.length > 0 ? findings : [ok('revocation', `${good} looked up: no CRL lists any`)];
}
