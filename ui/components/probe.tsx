import type { Probe } from '../api/document.ts';
import { listed, sentence, shortAuthority } from '../words/text.ts';
import { revocationLines } from '../words/revocation.ts';
import { probeVerdict } from '../words/probe.ts';
import { Icon } from './icon.tsx';
import { ChainTree, ProblemNote } from './certificate.tsx';

/** What a handshake now would show. */
export function ProbeResult({ probe }: { readonly probe: Probe }) {
  const { tone, text } = probeVerdict(probe);
  const spoken = probe.versions.filter(({ offered }) => offered).map(({ version }) => version);
  const { client_certificate: own, verification } = probe;
  return (
    <div class="probe" role="status">
      <p class={`headline ${tone}`}>
        <Icon name={tone} />
        <span>{text}</span>
      </p>
      {probe.error === null && (
        <>
          <p>
            {shortAuthority(probe.authority)}{' '}
            {spoken.length === 0 ? 'finished no handshake' : `speaks ${listed(spoken)}`}. {askedText(own)}
          </p>
          {own.ca_names.length > 0 && (
            <details>
              <summary>Certificates of these CAs are accepted</summary>
              <ul>
                {own.ca_names.map((name) => (
                  <li key={name}>{name}</li>
                ))}
              </ul>
            </details>
          )}
          {verification.problems
            .filter(({ depth }) => depth === null || depth >= probe.server.chain.length)
            .map((problem) => (
              <ProblemNote key={problem.code} problem={problem} tone="bad" />
            ))}
          {revocationLines(verification.revocation).map((line) => (
            <p key={line}>Revocation: {line}</p>
          ))}
          <ChainTree chain={probe.server.chain} problems={verification.problems} />
        </>
      )}
      {probe.error !== null && <p class="muted">{sentence(probe.error)}</p>}
    </div>
  );
}

function askedText({ requested, required }: Probe['client_certificate']): string {
  if (requested === null) return 'Whether it asks for a client certificate is unknown.';
  if (!requested) return 'It does not ask for a client certificate.';
  if (required === null) return 'It asks for a client certificate.';
  return required ? 'It requires a client certificate.' : 'It asks for a client certificate and continues without one.';
}
