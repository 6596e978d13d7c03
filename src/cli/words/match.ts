/** A dry run in sentences. */
import type { MatchAnswer } from '../../admin/schemas/match.ts';
import { count, listed, paint } from '../output.ts';

export function matchText(match: MatchAnswer): string {
  const { authority, action, why, error, certificate, verification } = match;
  const lines = [];
  if (error) {
    lines.push(
      `A request for ${paint('bold', authority)} would be ${paint('red', 'refused')} with ${error.code}: ${error.message}.`,
      `  next: ${error.hint}`,
    );
  } else if (action === 'passthrough') {
    lines.push(
      `A connection to ${paint('bold', authority)} would be ${paint('yellow', 'passed through untouched')}: ${why}.`,
      'No certificate is sent, and nothing is verified: that is between client and server.',
    );
  } else {
    lines.push(`A request for ${paint('bold', authority)} would be ${paint('green', 'intercepted')}: ${why}.`);
  }
  if (action === 'intercept') {
    const { name, reason } = certificate;
    if (name === null) lines.push(`No client certificate would be sent: ${reason}.`);
    else
      lines.push(`It would present the certificate ${paint('bold', name)}, where the server asks for one: ${reason}.`);
  }
  for (const { name, why } of certificate.losers) lines.push(`  not ${name}: ${why}`);
  for (const { code, message, severity } of certificate.problems)
    if (severity === 'warning') lines.push(`  warning ${code}: ${message}`);
  if (action !== 'intercept') return `${lines.join('\n')}\n`;
  lines.push(...verificationLines(verification));
  return `${lines.join('\n')}\n`;
}

function verificationLines({
  mode,
  rule,
  reason,
  override,
  allow,
  pins,
  losers,
  ...rest
}: MatchAnswer['verification']): string[] {
  const by = override ? 'asked for by the request' : rule === null ? reason : `rule ${rule}, ${reason}`;
  const lines = [
    mode === 'enforce'
      ? `The server's certificate has to pass verification (mode enforce; ${by}).`
      : `The server's certificate is checked, and the request goes through ${paint('yellow', 'with any result')} (mode report; ${by}).`,
  ];
  if (allow.length > 0) lines.push(`  let through: ${allow.join(', ')}`);
  if (pins.length > 0) lines.push(`  one of ${count(pins.length, 'pin')} has to be in its chain`);
  if (rest.server_name !== null) lines.push(`  the name sent and verified is ${rest.server_name}`);
  lines.push(`  ${listed([rest.min_version, rest.max_version], 'to')}; ${count(rest.trust_anchors, 'trust anchor')}`);
  for (const { name, why } of losers) lines.push(`  not rule ${name}: ${why}`);
  return lines;
}
