/** Trusted CAs in words. */
import type { Anchor } from '../../admin/routes/anchors.ts';
import { paint, table } from '../output.ts';

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
