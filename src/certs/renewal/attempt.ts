/**
 * One renewal, from the lock to the files: load what is on disk, ask the CA, check its answer, replace. Nothing changes before
 * the last step.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { loadIdentity } from '../identity/load.ts';
import type { ClientIdentity } from '../identity/identity.ts';
import { CodedError } from '../../core/errors.ts';
import { lockFile } from '../../core/files/lock.ts';
import { type CaClient, type ConnectToCa, openCa } from './ca-client.ts';
import { checkRenewed, checkReplaced, type NewMaterial } from './check.ts';
import { runRenewalCommand } from './command.ts';
import { enrollByEst, estCaCertificates } from './est.ts';
import { RenewalFault } from './fault.ts';
import { newKeyLike } from './key.ts';
import { caUrl, type RenewalEntry, type RenewalPlan, type RenewalVia } from './plan.ts';
import { renderFiles } from './render.ts';
import { completeReplacement, isInterrupted, readFiles, replaceFiles } from './replace.ts';
import { rekeyByStep, renewByStep, stepRoots } from './step-ca.ts';
import { filesOfTarget, mainFile, refusalOf } from './target.ts';

/** For the connection, two requests and a slow CA; shorter than the life of a lock from another machine. */
const ATTEMPT_TIMEOUT_MS = 30_000;

/** A request that the CA accepted and has not decided: it must be sent again unchanged (RFC 7030 §4.2.3). */
export interface PendingRequest {
  readonly key: KeyObject;
  readonly request: Buffer;
}

export type Outcome =
  | { readonly is: 'renewed'; readonly before: ClientIdentity; readonly after: ClientIdentity }
  /** Another process was faster, or a person: the files hold another certificate than the one in use. */
  | { readonly is: 'elsewhere'; readonly after: ClientIdentity }
  | { readonly is: 'pending'; readonly pending: PendingRequest; readonly retryAfterMs: number | null };

export interface Attempt {
  readonly entry: RenewalEntry;
  /** Opens a connection that presents the present certificate and is verified in enforce. */
  readonly connect: ConnectToCa;
  readonly pending: PendingRequest | null;
  /** Ends the requests to the CA; a write in progress is finished. */
  readonly signal: AbortSignal;
  /** For the requests to the CA; 30 s where left out. */
  readonly timeoutMs?: number | undefined;
}

/** @throws RenewalFault; nothing has changed then */
export async function attemptRenewal(attempt: Attempt): Promise<Outcome> {
  const { renew } = attempt.entry;
  await requireWritable(renew);
  return locked(renew, () => underLock(attempt));
}

/** Completes what a crash interrupted, so that other programs that read the files find a matching pair too. */
export async function completeInterrupted({ renew }: RenewalEntry): Promise<void> {
  if (!(await isInterrupted(renew.source))) return;
  await locked(renew, () => completeReplacement(renew.source, loadIdentity));
}

async function underLock(attempt: Attempt): Promise<Outcome> {
  const { entry, signal } = attempt;
  const { identity: before, renew } = entry;
  await completeReplacement(renew.source, loadIdentity);
  const { identity: present, problems } = await loadIdentity(renew.source);
  if (!present) throw new RenewalFault('ENTRY_UNUSABLE', problems[0]?.message ?? 'the files can not be loaded');
  if (present.id !== before.id) return { is: 'elsewhere', after: present };
  if (renew.via.kind === 'command') return byCommand(entry, renew.via.command, signal);
  const url = urlOf(renew.via);
  const ca = await openCa(url, attempt.connect, limited(attempt));
  try {
    const answer = await (renew.via.kind === 'est' ? byEst(ca, attempt) : byStep(ca, entry));
    if ('is' in answer) return answer;
    return await replace(entry, await checkRenewed(before, answer, Date.now()), answer.key);
  } finally {
    await ca.close();
  }
}

async function byEst(
  ca: CaClient,
  { entry, pending }: Attempt,
): Promise<NewMaterial | Extract<Outcome, { is: 'pending' }>> {
  const own = pending ?? (await newRequest(entry));
  const issued = await enrollByEst(ca, { operation: 'simplereenroll', request: own.request });
  if (issued.is === 'pending') return { is: 'pending', pending: own, retryAfterMs: issued.retryAfterMs };
  return { key: own.key, sent: issued.certificates, ofCa: () => estCaCertificates(ca), trustSentRoot: false };
}

async function byStep(ca: CaClient, entry: RenewalEntry): Promise<NewMaterial> {
  const common = { ofCa: () => stepRoots(ca), trustSentRoot: false };
  if (!entry.renew.rekey) return { key: keyOf(entry.identity), sent: await renewByStep(ca), ...common };
  const { key, request } = await newRequest(entry);
  return { key, sent: await rekeyByStep(ca, request), ...common };
}

async function newRequest({ identity, renew }: RenewalEntry): Promise<PendingRequest> {
  const present = keyOf(identity);
  const key = renew.rekey ? await newKeyLike(present) : present;
  // The library that writes it is loaded when the first renewal needs it.
  const { requestLike } = await import('./request.ts');
  return { key, request: requestLike(identity.leaf, key) };
}

async function byCommand(entry: RenewalEntry, command: readonly string[], signal: AbortSignal): Promise<Outcome> {
  const { name, host, identity: before, renew } = entry;
  const files = filesOfTarget(renew.target);
  const kept = await readFiles(files);
  const ran = await runRenewalCommand({
    command,
    cwd: renew.folder,
    entry: name,
    host,
    cert: mainFile(renew.target),
    key: files[0] ?? '',
    signal,
  });
  if (ran.is === 'printed') {
    const { certificates: sent, key } = ran;
    const material = { key: key ?? keyOf(before), sent, ofCa: () => Promise.resolve([]), trustSentRoot: true };
    return replace(entry, await checkRenewed(before, material, Date.now()), material.key);
  }
  const loaded = await loadIdentity(renew.source);
  if (loaded.identity?.id === before.id)
    throw new RenewalFault(
      'COMMAND_FAILED',
      `the renewal command ${command[0]} printed no certificate and changed no file`,
    );
  try {
    return { is: 'renewed', before, after: checkReplaced(before, loaded, Date.now()) };
  } catch (error) {
    await replaceFiles(kept);
    throw error;
  }
}

async function replace(
  { identity: before, renew }: RenewalEntry,
  after: ClientIdentity,
  key: KeyObject,
): Promise<Outcome> {
  const present = keyOf(before);
  const changed = key.equals(present) ? null : key;
  await replaceFiles(await renderFiles(renew.target, after, changed, present));
  return { is: 'renewed', before, after };
}

/**
 * The part of a renewal that changes nothing and requests no certificate: the files could be written, the CA is reached and
 * verified, takes the present certificate, and answers.
 * @throws RenewalFault
 */
export async function rehearseRenewal(attempt: Omit<Attempt, 'pending'>): Promise<void> {
  const { entry, connect } = attempt;
  const { renew } = entry;
  await requireWritable(renew);
  if (renew.via.kind === 'command') return;
  const url = urlOf(renew.via);
  if (renew.via.kind === 'est' || renew.rekey) await newRequest(entry);
  const ca = await openCa(url, connect, limited(attempt));
  try {
    await (renew.via.kind === 'est' ? estCaCertificates(ca) : stepRoots(ca));
  } finally {
    await ca.close();
  }
}

const limited = ({ signal, timeoutMs = ATTEMPT_TIMEOUT_MS }: Pick<Attempt, 'signal' | 'timeoutMs'>): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);

const keyOf = (identity: ClientIdentity): KeyObject => createPrivateKey(identity.keyPem());

/** @throws RenewalFault FILES_NOT_WRITABLE */
async function requireWritable({ target }: RenewalPlan): Promise<void> {
  const refusal = await refusalOf(target);
  if (refusal) throw new RenewalFault('FILES_NOT_WRITABLE', refusal.message, { hint: refusal.hint });
}

function urlOf({ kind, url: text }: Exclude<RenewalVia, { kind: 'command' }>): URL {
  const url = caUrl(kind, text);
  if (url) return url;
  throw new RenewalFault('CA_UNREACHABLE', `${text} is not the https URL of a CA`);
}

/** Does the work while it holds the lock of the main file. */
async function locked<T>({ target }: RenewalPlan, work: () => Promise<T>): Promise<T> {
  const file = mainFile(target);
  const release = await lockFile(file).catch((error: unknown) => {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === 'LOCKED')
      throw new RenewalFault('LOCKED', `another process is renewing ${file}`, { cause: error });
    throw new RenewalFault('FILES_NOT_WRITABLE', error.message, { hint: error.hint, cause: error });
  });
  try {
    return await work();
  } finally {
    await release();
  }
}
