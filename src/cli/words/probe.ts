/** A probe in sentences. */
import type { ProbeAnswer } from '../../admin/schemas/probe.ts';
import { isAccepted } from '../../inspect/verify/verdict.ts';
import { listed, paint } from '../output.ts';
import { factsText } from './entry.ts';
import { problemText, verificationText } from './record.ts';
import { revocationText } from './revocation.ts';

/** Whether a request would get through, as far as TLS decides it. */
export function wouldWork({ error, verification, client_certificate: own, certificate }: ProbeAnswer): boolean {
  if (error !== null || !certificate.usable) return false;
  if (verification.mode === 'enforce' && !isAccepted(verification.problems)) return false;
  return own.required === true ? own.ours === 'accepted' : own.ours === null || own.ours === 'accepted';
}

export function probeText(probe: ProbeAnswer): string {
  if (probe.error !== null)
    return `${paint('bold', probe.authority)} ${paint('red', "can't be reached")}: ${probe.error}\n`;
  const place = probe.address ? ` (${probe.address.ip})` : probe.via === null ? '' : ` (by way of ${probe.via})`;
  const { versions, alpn, server, verification, ciphers } = probe;
  const spoken = versions.filter(({ offered }) => offered).map(({ version }) => version);
  const unspoken = versions.filter(({ offered }) => !offered).map(({ version }) => version);
  const lines = [
    spoken.length === 0
      ? `${paint('bold', probe.authority)}${place} ${paint('red', 'finished no TLS handshake')}.`
      : `${paint('bold', probe.authority)}${place} speaks ${listed(spoken)}${unspoken.length === 0 ? '' : `, not ${listed(unspoken, 'or')}`}${alpn.length === 0 ? '' : `; ALPN ${alpn.join(', ')}`}.`,
  ];
  const failed = spoken.length === 0 ? probe.attempts.find(({ error }) => error !== null) : undefined;
  if (failed)
    lines.push(
      `  ${failed.version}: ${failed.alert ? `${failed.alert.meaning}; next: ${failed.alert.hint}` : failed.error}`,
    );
  lines.push('');
  const [leaf] = server.chain;
  if (leaf) {
    lines.push('Its certificate:', indent(factsText(leaf, null)));
    if (server.chain.length > 1)
      lines.push(
        `  chain: ${server.chain
          .slice(1)
          .map(({ subject }) => subject)
          .join(' < ')}`,
        '',
      );
  }
  const { complete, problems, revocation } = verification;
  const partly = complete ? '' : ', as far as an unfinished handshake shows';
  const verdict = verification.authorized
    ? paint('green', 'passes verification')
    : `is ${verificationText({ ...verification, rule: null })}`;
  if (leaf) lines.push(`It ${verdict}${partly}.`);
  lines.push(...problems.map((problem) => problemText(problem).trimEnd()), '');
  const revoked = leaf ? revocationText(revocation) : null;
  if (revoked !== null) lines.push('Revocation:', indent(revoked), '');
  lines.push(...clientCertificateLines(probe));
  for (const { version, suites } of ciphers)
    lines.push('', `Ciphers of ${version}, in its order: ${suites.join(', ')}`);
  lines.push(
    '',
    wouldWork(probe) ? paint('green', 'A request would get through.') : paint('red', 'A request would fail.'),
  );
  return `${lines.join('\n').replace(/\n{3,}/g, '\n\n')}\n`;
}

function clientCertificateLines({ client_certificate: own, certificate, attempts }: ProbeAnswer): string[] {
  if (own.requested === null) return ['It is unknown whether it asks for a client certificate.'];
  if (!own.requested)
    return [
      `It ${paint('bold', 'asks for no client certificate')}${certificate.name === null ? '' : `, so ${certificate.name} would not be sent`}.`,
    ];
  const without = own.required === false ? ', and accepts requests without one' : '';
  const lines = [
    own.required === true
      ? `It ${paint('bold', 'requires a client certificate')}.`
      : `It ${paint('bold', 'asks for a client certificate')}${without}.`,
  ];
  if (own.ca_names.length > 0) lines.push('It names these CAs:', ...own.ca_names.map((name) => `  ${name}`));
  if (certificate.name === null) lines.push(`None can be sent: ${certificate.reason}.`);
  else if (!certificate.usable)
    lines.push(`${certificate.name} can't be loaded; next: mtlsd cert show ${certificate.name}`);
  else if (own.ours === 'accepted')
    lines.push(`It ${paint('green', `accepts ${certificate.name}`)} (${certificate.reason}).`);
  else {
    const alert = attempts.find((each) => each.certificate === 'ours' && each.alert !== null)?.alert;
    lines.push(
      `It ${paint('red', `refuses ${certificate.name}`)}${alert ? `: ${alert.meaning}; next: ${alert.hint}` : ''}.`,
    );
    if (own.issuer_named === false && own.issuer !== null)
      lines.push(
        `What ${certificate.name} sends ends with a certificate issued by ${own.issuer}, which is none of these CAs; if one of them issued that CA, add its certificate to the file.`,
      );
  }
  return lines;
}

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');
