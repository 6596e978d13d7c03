import type { CertificateFacts, Diagnosis, ServerProblem } from '../api/document.ts';
import { lifetimeOf, shortName } from '../words/entry.ts';
import { codeWords } from '../words/exchange.ts';
import { localTime, sentence } from '../words/text.ts';
import { CopyButton } from './copy.tsx';
import { Icon } from './icon.tsx';
import { pageHint } from '../words/hint.ts';

export function LifetimeBar({
  facts,
  daysLeft = null,
}: {
  readonly facts: CertificateFacts;
  readonly daysLeft?: number | null;
}) {
  const life = lifetimeOf(facts, daysLeft, Date.now());
  if (!life) return <span class="muted">unknown</span>;
  const title = `${facts.not_before} to ${facts.not_after}`;
  return (
    <span class={`lifetime ${life.tone}`} title={title}>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" rx="3" />
        <rect class="fill" width={Math.max(4, life.spent * 100)} height="6" rx="3" />
      </svg>
      <span>{life.text}</span>
    </span>
  );
}

export function Fingerprint({ value }: { readonly value: string }) {
  return (
    <span class="fingerprint">
      <code>
        <Breakable value={value} />
      </code>
      <CopyButton text={value} label="fingerprint" />
    </span>
  );
}

/** Lines end between bytes and never within one. */
export function Breakable({ value }: { readonly value: string }) {
  return value.split(':').flatMap((byte, index) => (index === 0 ? [byte] : [':', <wbr key={index} />, byte]));
}

/** Everything that a certificate says. */
interface FactsProps {
  readonly facts: CertificateFacts;
  readonly daysLeft?: number | null;
  /** False if it is shown above already. */
  readonly withFingerprint?: boolean;
}

export function Facts({ facts, daysLeft = null, withFingerprint = true }: FactsProps) {
  const rows: (readonly [string, preact.ComponentChildren])[] = [
    ['Subject', facts.subject],
    ['Issuer', facts.self_signed ? 'itself (self-signed)' : facts.issuer],
    ...(facts.sans.length > 0 ? ([['Names', facts.sans.join(', ')]] as [string, string][]) : []),
    [
      'Valid',
      <>
        {localTime(facts.not_before)} to {localTime(facts.not_after)} <LifetimeBar facts={facts} daysLeft={daysLeft} />
      </>,
    ],
    ['Key', `${facts.key}, signed with ${facts.signature}`],
    ...(facts.extended_key_usage ? ([['Usage', facts.extended_key_usage.join(', ')]] as [string, string][]) : []),
    ['Serial', <code key="serial">{facts.serial}</code>],
    ...(withFingerprint
      ? ([['SHA-256', <Fingerprint key="fingerprint" value={facts.fingerprint256} />]] as const)
      : []),
  ];
  return <Pairs rows={rows} />;
}

export function Pairs({ rows }: { readonly rows: readonly (readonly [string, preact.ComponentChildren])[] }) {
  return (
    <dl class="pairs">
      {rows.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function ProblemNote({
  problem,
  tone,
}: {
  readonly problem: ServerProblem | Diagnosis;
  readonly tone: 'bad' | 'warn';
}) {
  const allowed = 'allowed' in problem && problem.allowed === true;
  return (
    <div class={`notice ${allowed ? 'warn' : tone}`}>
      <b>
        <Icon name={allowed ? 'warn' : tone} /> {codeWords(problem.code)}
        {allowed && ' (allowed by the rule)'}
      </b>
      <p>{sentence(problem.message)}</p>
      <p class="muted">{pageHint(problem.hint)}</p>
    </div>
  );
}

interface ChainProps {
  readonly chain: readonly CertificateFacts[];
  readonly problems: readonly ServerProblem[];
}

/** From the root down to the server's own, each with what is wrong with it. */
export function ChainTree({ chain, problems }: ChainProps) {
  if (chain.length === 0) return <p class="muted">The server showed no certificate.</p>;
  return <ChainNode chain={chain} problems={problems} depth={chain.length - 1} />;
}

function ChainNode({ chain, problems, depth }: ChainProps & { readonly depth: number }) {
  const facts = chain[depth];
  if (!facts) return null;
  const own = problems.filter((problem) => problem.depth === depth);
  const role = depth === 0 ? 'server' : depth === chain.length - 1 && facts.self_signed ? 'root' : 'intermediate';
  return (
    <ul class="tree">
      <li>
        <details open={depth === 0}>
          <summary>
            <span
              class={`dot ${own.some(({ allowed }) => allowed !== true) ? 'bad' : own.length > 0 ? 'warn' : 'good'}`}
            />
            <b class="clip">{shortName(facts) || 'no subject'}</b>
            <span class="muted">{role}</span>
          </summary>
          <Facts facts={facts} />
        </details>
        {own.map((problem) => (
          <ProblemNote key={problem.code} problem={problem} tone="bad" />
        ))}
        {depth > 0 && <ChainNode chain={chain} problems={problems} depth={depth - 1} />}
      </li>
    </ul>
  );
}
