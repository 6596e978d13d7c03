/** Calls of the admin API by their operation, typed from its document. The session's cookie goes along by itself. */
import { OPERATIONS, type Operations, type Problem } from './document.ts';

export type Operation = keyof Operations & keyof typeof OPERATIONS;

export type CallOptions<O extends Operation> = {
  readonly path?: Operations[O]['path'];
  readonly query?: Operations[O]['query'];
  readonly body?: Operations[O]['body'];
  /** The ETag that was read: the change is refused where the thing has changed since. */
  readonly ifMatch?: string | null;
  /** The thing must not exist yet. */
  readonly ifAbsent?: boolean;
};

export interface Reply<O extends Operation> {
  readonly answer: Operations[O]['answer'];
  readonly etag: string | null;
}

/** A refusal in the API's own words; status 0 where the daemon does not answer. */
export class ApiFailure extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly problems: readonly unknown[];

  constructor(status: number, { code, detail, hint, problems }: Partial<Problem>) {
    super(detail ?? `the daemon answered ${status}`);
    this.status = status;
    this.code = code ?? '';
    this.hint = hint ?? '';
    this.problems = problems ?? [];
  }
}

/** @throws ApiFailure */
export async function call<O extends Operation>(operation: O, options: CallOptions<O> = {}): Promise<Reply<O>> {
  const { body, ifMatch, ifAbsent } = options;
  const [method] = OPERATIONS[operation];
  const response = await answered(urlOf(operation, options), {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch != null && { 'if-match': ifMatch }),
      ...(ifAbsent && { 'if-none-match': '*' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = response.status === 204 ? undefined : await response.json();
  return { answer: answer as Operations[O]['answer'], etag: response.headers.get('etag') };
}

/** Signs in with a one-time code or the token. */
export async function signIn(secret: string): Promise<void> {
  await answered('/login', {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams({ secret }),
  });
}

async function answered(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new ApiFailure(0, {
      code: 'UNREACHABLE',
      detail: 'the daemon does not answer',
      hint: 'start it with: mtlsd start',
    });
  }
  if (response.ok) return response;
  throw new ApiFailure(response.status, (await response.json().catch(() => ({}))) as Partial<Problem>);
}

export function urlOf<O extends Operation>(operation: O, { path, query }: CallOptions<O> = {}): string {
  const parameters = (path ?? {}) as Readonly<Record<string, string>>;
  const place = OPERATIONS[operation][1].replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return pairs.length === 0
    ? place
    : `${place}?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}`;
}
