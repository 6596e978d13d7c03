/** Trusted CAs in words. */
import type { CertificateFacts } from '../../core/facts.ts';
import { paint, table } from '../output.ts';

/** As GET /api/v1/trust/anchors lists them. */
export interface Anchor {
  readonly file: string;
  readonly rules: readonly string[];
  readonly everywhere: boolean;
  readonly certificates: readonly CertificateFacts[];
  readonly problem: string | null;
}

export function anchorsText(system: boolean, anchors: readonly Anchor[]): string {
  const head = system ? "The system's CAs are trusted for every host.\n" : "The system's CAs are not trusted.\n";
  if (anchors.length === 0) return `${head}No other CA is trusted.\n`;
  const rows = anchors.flatMap(({ file, rules, everywhere, certificates, problem }) => {
    const where = [...(everywhere ? ['every host'] : []), ...rules].join(', ');
    if (problem !== null) return [[paint('red', problem), where, '', '', file]];
    return certificates.map((each) => [
      each.subject,
      where,
      each.not_after.slice(0, 10),
      each.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase(),
      file,
    ]);
  });
  return `${head}\n${table(['SUBJECT', 'TRUSTED FOR', 'UNTIL', 'SHA-256', 'FILE'], rows)}`;
}
