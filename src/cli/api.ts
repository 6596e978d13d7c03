/** The admin API as commands use it: of the daemon that runs, or of the same routes in this process where none does. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { VERSION } from '../version.ts';
import { CliError } from './errors.ts';
import { notRunning, readRunFile, readToken, type RunFile } from './run-file.ts';

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

/** A refusal of the API, in its own words. */
export class ApiError extends CliError {
  readonly status: number;
  readonly code: string;
  constructor(status: number, problem: Partial<Problem>) {
    const details = (problem.problems ?? []).flatMap(problemLine);
    super(
      problem.detail ?? `the admin API answered ${status}`,
      problem.hint ?? null,
      status === 400 ? 2 : 1,
      details.length > 1 ? details : [],
    );
    this.status = status;
    this.code = problem.code ?? '';
  }
}

interface Problem {
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

/** @throws CliError where no daemon runs */
export async function daemonApi(home: string): Promise<Api> {
  const run = await readRunFile(home);
  if (!run) throw notRunning(home);
  return new DaemonApi(run, await readToken(home), home);
}

/** Of the daemon where one runs; else of the files. */
export async function anyApi(home: string): Promise<Api> {
  const run = await readRunFile(home);
  if (run) return new DaemonApi(run, await readToken(home), home);
  const { offlineApi } = await import('./offline.ts');
  return offlineApi(home);
}

export async function withApi<T>(open: Promise<Api>, use: (api: Api) => Promise<T>): Promise<T> {
  const api = await open;
  try {
    return await use(api);
  } finally {
    await api.close();
  }
}

class DaemonApi implements Api {
  readonly daemon: RunFile;
  readonly #token: string;
  readonly #home: string;

  constructor(run: RunFile, token: string, home: string) {
    this.daemon = run;
    this.#token = token;
    this.#home = home;
  }

  async call<T>(method: string, path: string, { body, headers }: CallOptions = {}): Promise<Answer<T>> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await this.open(
      method,
      path,
      { ...headers, ...(text !== undefined && { 'content-type': 'application/json' }) },
      text,
    );
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return answerOf<T>(response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString('utf8'));
  }

  /** The response as it comes; for streams. */
  open(method: string, path: string, headers: OutgoingHttpHeaders = {}, body?: string): Promise<IncomingMessage> {
    const { admin } = this.daemon;
    const own = { authorization: `Bearer ${this.#token}`, 'user-agent': `mtlsd-cli/${VERSION}` };
    const place = admin.startsWith('unix:')
      ? { socketPath: admin.slice(5), headers: { ...headers, ...own, host: 'unix' } }
      : {
          host: new URL(admin).hostname.replace(/^\[|\]$/g, ''),
          port: new URL(admin).port,
          headers: { ...headers, ...own },
        };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ method, path, ...place, agent: false }, resolve);
      request.on('error', (error: NodeJS.ErrnoException) => {
        const why = error.code ?? error.message;
        reject(
          new CliError(
            `the daemon (process ${this.daemon.pid}) does not answer on ${admin}: ${why}`,
            `look at its log, or start it anew; if that process is not mtlsd: rm ${this.#home}/run.json`,
          ),
        );
      });
      request.end(body);
    });
  }

  async close(): Promise<void> {}
}

export type { DaemonApi };

export async function daemonStream(home: string): Promise<DaemonApi> {
  return (await daemonApi(home)) as DaemonApi;
}

export function answerOf<T>(status: number, headers: Answer<T>['headers'], text: string): Answer<T> {
  const isJson = /json/.test(String(headers['content-type'] ?? ''));
  const body = (isJson && text !== '' ? JSON.parse(text) : text) as T;
  if (status >= 400) throw new ApiError(status, (typeof body === 'object' ? body : {}) as Partial<Problem>);
  return { status, body, headers };
}
