/**
 * Probes a server on demand: handshakes with and without our certificate on TLS 1.3 and 1.2, then the older
 * versions and the ciphers one by one. Every handshake has a separate connection, none is resumed, and no request is sent.
 */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { Authority } from '../../core/authority.ts';
import type { ReportFault } from '../../core/boundary.ts';
import { certificateFacts, isSelfSigned, printable } from '../../core/facts.ts';
import { attempt, NOT_JUDGED, type Offer, type Seen, type TlsVersion } from './attempt.ts';
import { attemptFacts, clientCertificate, endpointOf, sentFacts, spoke } from './result.ts';
import type { ProbeResult } from './result-schema.ts';
import { allowedCodes, type Expectation, judge, withAnchor } from '../verify/verdict.ts';

export interface ProbeOptions {
  readonly authority: Authority;
  /** Opens the TCP connection, once per handshake. */
  readonly connect: () => Promise<Socket>;
  /** What would be presented; null or left out for none. */
  readonly identity?: {
    readonly certPem: string;
    readonly keyPem: string;
    readonly chain: readonly X509Certificate[];
  } | null;
  /** Sent as SNI and verified in place of the host. */
  readonly serverName?: string | null;
  readonly expectation: Expectation;
  /** For one handshake. */
  readonly timeoutMs: number;
  /** Also find every cipher on offer, at a handshake each. Default true. */
  readonly ciphers?: boolean;
  /** For an error in a callback of a handshake, which then fails alone. */
  readonly report?: ReportFault;
}

const NEWEST = ['TLSv1.3', 'TLSv1.2'] as const;
const OLD = ['TLSv1.1', 'TLSv1'] as const;
const ALPN = ['h2', 'http/1.1'] as const;

/** Never throws: a server that can't be reached is a result too. */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { authority, connect, identity = null, expectation } = options;
  const time = new Date().toISOString();
  const host = options.serverName ?? authority.host;
  const base: Omit<Offer, 'version'> = {
    serverName: host,
    alpn: ALPN,
    identity: null,
    ca: [],
    askStaple: expectation.revocation.mode !== 'off',
    partialChain: expectation.anchors.some((anchor) => !isSelfSigned(anchor)),
    timeoutMs: options.timeoutMs,
    ...(options.report && { report: options.report }),
  };
  const ca = expectation.anchors.map((anchor) => anchor.toString());

  // The first alone: an unreachable server needs no further handshakes.
  const bare = [await attempt(connect, { ...base, version: 'TLSv1.3', ca })];
  const reached = bare[0]?.outcome !== 'unreachable';
  if (reached) bare.push(await attempt(connect, { ...base, version: 'TLSv1.2', ca }));
  const withOurs =
    identity && reached ? await inTurn(NEWEST, (version) => attempt(connect, { ...base, version, identity, ca })) : [];
  const old = reached ? await inTurn(OLD, (version) => attempt(connect, { ...base, version })) : [];

  const all = [...bare, ...withOurs];
  const best =
    all.find(({ opensslError, chain }) => chain.length > 0 && opensslError !== NOT_JUDGED) ??
    all.find(({ chain }) => chain.length > 0);
  const offered = [...bare, ...old].map((seen) => ({ version: seen.offered, offered: spoke(seen) }));
  const spoken = NEWEST.filter((version) => offered.some((each) => each.version === version && each.offered));
  const ciphers = options.ciphers === false ? [] : await inTurn(spoken, (version) => suitesOf(connect, base, version));
  const sent = all.find(({ sentByServer }) => sentByServer.length > 0)?.sentByServer ?? [];

  const { chain, ...verification } = judged(best, host, options);

  return {
    authority: authority.text,
    time,
    address: endpointOf(bare),
    server_name: authority.kind === 'name' || options.serverName ? host : null,
    attempts: [...all, ...old].map(attemptFacts),
    versions: offered,
    ciphers,
    alpn: reached ? await protocolsOf(connect, base, spoken[0], bare) : [],
    server: { chain: chain.map(certificateFacts), ...sentFacts(sent) },
    verification,
    client_certificate: clientCertificate(bare, withOurs, identity?.chain ?? []),
    error: reached ? null : printable(bare[0]?.error?.message ?? 'nobody answers', 500),
  };
}

function judged(
  best: Seen | undefined,
  host: string,
  { authority, expectation }: ProbeOptions,
): ProbeResult['verification'] & { readonly chain: readonly X509Certificate[] } {
  const { mode } = expectation;
  if (!best)
    return { complete: false, mode, authorized: false, allowed: [], problems: [], revocation: null, chain: [] };
  const complete = best.opensslError !== NOT_JUDGED;
  // Any refusal makes the verdict look for itself; its stand-in is then taken out again.
  const opensslError = complete ? best.opensslError : 'UNSPECIFIED';
  const { chain, staple } = best;
  const verdict = judge(
    { chain, host, protocol: best.protocol ?? 'none', staple, authority, opensslError },
    expectation,
  );
  const standIns = complete ? [] : ['UNSPECIFIED', 'CONSTRAINTS_UNCHECKED'];
  const problems = verdict.problems.filter(({ code }) => !standIns.includes(code));
  return {
    complete,
    mode,
    authorized: problems.length === 0,
    allowed: allowedCodes(problems),
    problems,
    revocation: verdict.revocation,
    chain: withAnchor(chain, verdict),
  };
}

/** One after another: a probe must not look like an attack, nor load the server. */
async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

async function protocolsOf(
  connect: () => Promise<Socket>,
  base: Omit<Offer, 'version'>,
  version: TlsVersion | undefined,
  bare: readonly Seen[],
): Promise<string[]> {
  const chosen = bare.find(({ alpn }) => alpn !== null)?.alpn ?? null;
  if (version === undefined || chosen === null) return [];
  const rest = ALPN.filter((protocol) => protocol !== chosen);
  const others = await inTurn(rest, (protocol) => attempt(connect, { ...base, version, alpn: [protocol] }));
  return [chosen, ...others.flatMap(({ alpn }) => (alpn === null ? [] : [alpn]))];
}

/** Servers offer six to twenty; a server that accepts any number must not hold up the probe. */
const MOST_SUITES = 40;

/** Offers all suites, then all but those that the server took, until it takes none. */
async function suitesOf(connect: () => Promise<Socket>, base: Omit<Offer, 'version'>, version: TlsVersion) {
  const left = new Set(tls.getCiphers().map((name) => name.toUpperCase()));
  const taken: string[] = [];
  const excluded: string[] = [];
  for (let tries = 0; tries < MOST_SUITES; tries++) {
    const ciphers =
      version === 'TLSv1.3'
        ? [...left].filter((name) => name.startsWith('TLS_')).join(':')
        : ['ALL', '!aNULL', '!eNULL', ...excluded, '@SECLEVEL=0'].join(':');
    if (ciphers === '') break;
    const seen = await attempt(connect, { ...base, version, ciphers });
    if (seen.cipher === null || taken.includes(seen.cipher)) break;
    taken.push(seen.cipher);
    left.delete(seen.cipher);
    if (seen.opensslCipher) excluded.push(`!${seen.opensslCipher}`);
  }
  return { version, suites: taken };
}
