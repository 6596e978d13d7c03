/** The admin API as commands use it: of the daemon that runs, or of the same routes in this process where none does. */
import type { OutgoingHttpHeaders } from 'node:http';
import { CliError } from '../errors.ts';
import type { RunFile } from '../../run-file.ts';

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface CallOptions {
  readonly body?: object;
  readonly headers?: OutgoingHttpHeaders;
}

export interface Api {
  /** null where the files themselves are worked on. */
  readonly daemon: RunFile | null;
  /** @throws ApiError for any status of 400 and above */
  call<T>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  close(): Promise<void>;
}

/** A refusal of the API, in its own words; for invalid values without mention of bodies and routes. */
export class ApiError extends CliError {
  readonly status: number;
  constructor(status: number, problem: Partial<ProblemDetails>) {
    const details = (problem.problems ?? []).flatMap(problemLine);
    const invalid = problem.code === 'BAD_REQUEST' && details.length > 0;
    super(
      invalid ? `invalid: ${details.join('; ')}` : (problem.detail ?? `the admin API answered ${status}`),
      invalid ? 'give the expected value; --help shows what the command takes' : problem.hint,
      status === 400 ? 2 : 1,
      details.length > 1 && !invalid ? details : [],
      problem.code,
    );
    this.status = status;
  }
}

/** RFC 9457. */
interface ProblemDetails {
  readonly detail: string;
  readonly code: string;
  readonly hint: string;
  readonly problems: readonly unknown[];
}

function problemLine(problem: unknown): string[] {
  if (typeof problem === 'string') return [problem];
  const { code, message, expected, line, column } = problem as Record<string, string | number | undefined>;
  const place = line === undefined ? '' : `${line}:${column}: `;
  return [
    `${place}${code === undefined ? '' : `${code}: `}${message}${expected === undefined ? '' : `; expected ${expected}`}`,
  ];
}

export async function withApi<A extends Api, T>(open: Promise<A>, use: (api: A) => Promise<T>): Promise<T> {
  const api = await open;
  try {
    return await use(api);
  } finally {
    await api.close();
  }
}

export function answerOf<T>(status: number, headers: Answer<T>['headers'], text: string): Answer<T> {
  const isJson = /json/.test(String(headers['content-type'] ?? ''));
  const body = (isJson && text !== '' ? JSON.parse(text) : text) as T;
  if (status >= 400) throw new ApiError(status, (typeof body === 'object' ? body : {}) as Partial<ProblemDetails>);
  return { status, body, headers };
}
