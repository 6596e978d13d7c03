/**
 * Changes of the store on behalf of a client. If-Match and If-None-Match (RFC 9110 §13.1) are held against what is being
 * changed, not against the whole file: two clients that change different things do not conflict.
 */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { StoreEdit } from '../certs/store/edit-value.ts';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import type { StoreProblem } from '../certs/store/store.ts';
import { CodedError } from '../core/errors.ts';
import { describeProblem } from '../core/yaml/read.ts';
import type { AdminContext } from './context.ts';
import { AdminError } from './problem.ts';

export interface Change {
  /** Of what is about to change, in the current store; null where it does not exist. */
  readonly etagOf: (store: StoreSnapshot) => string | null;
  readonly edit: StoreEdit;
  /** Only on the file as the snapshot shows it, as with a precondition. */
  readonly exact?: boolean;
}

/** Another writer can come first a few times, not always. */
const MOST_TRIES = 5;

/**
 * @returns the store with the change applied
 * @throws AdminError 412 where a precondition fails, 409 where the file can't be changed; CodedError of EditErrorCode
 */
export async function changeStore(
  { store }: Pick<AdminContext, 'store'>,
  request: Pick<FastifyRequest, 'headers'>,
  { etagOf, edit, exact = false }: Change,
): Promise<StoreSnapshot> {
  const conditional =
    exact || request.headers['if-match'] !== undefined || request.headers['if-none-match'] !== undefined;
  for (let tries = 1; ; tries++) {
    const seen = store.current;
    holdConditions(request, etagOf(seen));
    try {
      const result = await store.edit(edit, conditional ? { ifVersion: seen.version } : {});
      if (!result.ok) throw rejected(result.problems);
      return result.snapshot;
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'CONFLICT' || tries === MOST_TRIES) throw error;
      // The file changed after the snapshot was made: reload, and check the preconditions again.
      const reloaded = await store.reload();
      if (!reloaded.ok) throw rejected(reloaded.problems);
    }
  }
}

function holdConditions({ headers }: Pick<FastifyRequest, 'headers'>, etag: string | null): void {
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined && !matches(ifMatch, etag))
    throw new AdminError(
      'CHANGED_MEANWHILE',
      etag === null ? 'it no longer exists' : 'it was changed since you read it',
      'read it again, then repeat the change with the new ETag',
    );
  if (headers['if-none-match'] !== undefined && matches(headers['if-none-match'], etag))
    throw new AdminError('EXISTS_ALREADY', 'it is there already', 'read it, and change it with If-Match');
}

/** Strong comparison (RFC 9110 §8.8.3.2): a weak one never matches. */
function matches(field: string, etag: string | null): boolean {
  if (etag === null) return false;
  return field
    .split(',')
    .map((tag) => tag.trim())
    .some((tag) => tag === '*' || tag === etag);
}

export function rejected(problems: readonly StoreProblem[]): AdminError {
  return new AdminError(
    'BROKEN_FILE',
    `certificates.yaml has a mistake, and the last good store stays: ${problems[0] ? describeProblem(problems[0]) : 'unknown'}`,
    'correct the file in an editor first',
    { problems },
  );
}

/** Of an entry by its own mark, of anything else by its content. */
export const quoted = (mark: string): string => `"${mark}"`;
export const etagOfValue = (value: unknown): string =>
  quoted(createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 27));

/** Every change is logged: who, from where, what. Never a value that could be secret. */
export function logChange(
  { log }: Pick<AdminContext, 'log'>,
  request: Pick<FastifyRequest, 'headers' | 'ip' | 'socket'>,
  action: string,
  data: object,
): void {
  log('info', 'admin', { action, ...whoOf(request), ...data });
}

export function whoOf({ headers, ip, socket }: Pick<FastifyRequest, 'headers' | 'ip' | 'socket'>): {
  who: 'cli' | 'page' | 'api';
  client: string;
} {
  const isPage = headers.authorization === undefined && headers['sec-fetch-site'] !== undefined;
  return {
    who: headers['user-agent']?.startsWith('mtlsd-cli/') ? 'cli' : isPage ? 'page' : 'api',
    client: socket.remotePort === undefined ? 'unix' : `${ip}:${socket.remotePort}`,
  };
}
