/** A first certificate: from an EST server with a password, or from a step-ca with a one-time token. */
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../../core/secret.ts';
import { tryOr } from '../../core/try-or.ts';
import { type CaClient, type ConnectToCa, openCa } from './ca-client.ts';
import { checkIssued } from './check.ts';
import { enrollByEst, estCaCertificates } from './est.ts';
import { RenewalFault } from './fault.ts';
import { signByStep, stepRoots } from './step-ca.ts';

export const KEY_KINDS = ['p256', 'p384', 'ed25519', 'rsa2048', 'rsa3072'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

export type EnrollmentVia =
  | { readonly kind: 'est'; readonly url: URL; readonly user: string; readonly password: Secret }
  | { readonly kind: 'step'; readonly url: URL; readonly token: Secret };

export interface Enrollment {
  readonly via: EnrollmentVia;
  /** The subject's common name. */
  readonly commonName: string;
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly key: KeyKind;
  /** Verified against the trust anchors for the CA's server. */
  readonly connect: ConnectToCa;
  readonly signal: AbortSignal;
}

export interface Enrolled {
  /** The chain, leaf first. */
  readonly certPem: string;
  readonly keyPem: () => string;
}

/** @throws RenewalFault */
export async function enroll(enrollment: Enrollment): Promise<Enrolled> {
  const { via, commonName, names, connect, signal } = enrollment;
  const key = await newKey(enrollment.key);
  const { requestFor } = await import('./request.ts');
  const request = requestFor(commonName, names, key);
  const ca = await openCa(via.url, connect, signal);
  try {
    const sent = via.kind === 'est' ? await byEst(ca, via, request) : await signByStep(ca, request, via.token.reveal());
    const ofCa = () => (via.kind === 'est' ? estCaCertificates(ca) : stepRoots(ca));
    const { certPem, keyPem } = await checkIssued({ key, sent, ofCa, trustSentRoot: false }, Date.now());
    return { certPem, keyPem };
  } finally {
    await ca.close();
  }
}

async function byEst(ca: CaClient, { user, password }: Extract<EnrollmentVia, { kind: 'est' }>, request: Buffer) {
  const authorization = `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}`;
  const issued = await enrollByEst(ca, { operation: 'simpleenroll', request, authorization });
  if (issued.is === 'issued') return issued.certificates;
  throw new RenewalFault('CA_PENDING', `${ca.url} has taken the request and not decided on it`, {
    hint: 'have it approved beforehand, then enroll again',
  });
}

const generate = promisify(generateKeyPair);

async function newKey(kind: KeyKind): Promise<KeyObject> {
  const pair =
    kind === 'ed25519'
      ? generate('ed25519')
      : kind.startsWith('rsa')
        ? generate('rsa', { modulusLength: Number(kind.slice(3)) })
        : generate('ec', { namedCurve: kind === 'p256' ? 'P-256' : 'P-384' });
  return (await pair).privateKey;
}

/**
 * The names that a one-time token of step-ca is for: its request has to have the same.
 * @returns null where it is not a token of that kind
 */
export function namesOfToken(token: Secret): { readonly subject: string; readonly names: readonly string[] } | null {
  const [, payload = ''] = token.reveal().split('.');
  const json: unknown = tryOr(() => JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')), null);
  const { sub, sans } = (json ?? {}) as Record<string, unknown>;
  if (typeof sub !== 'string') return null;
  const names = Array.isArray(sans) ? sans.filter((name) => typeof name === 'string') : [];
  return { subject: sub, names: names.length > 0 ? names : [sub] };
}
