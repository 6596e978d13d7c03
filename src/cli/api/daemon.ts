/** The API of the daemon that runs. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { readRunFile, type RunFile } from '../../run-file.ts';
import { VERSION } from '../../version.ts';
import { CliError, notRunning } from '../errors.ts';
import { readOrFail } from '../read-file.ts';
import { homeDirectory } from '../../home.ts';
import { type Answer, answerOf, type Api, type CallOptions, withApi } from './api.ts';

/** @throws CliError where no daemon runs */
export async function daemonApi(home: string): Promise<DaemonApi> {
  const run = await readRunFile(home);
  if (!run) throw notRunning(home);
  return apiOf(run, home);
}

/** @param home the value of `--home` */
export const withDaemon = <T>(home: string | undefined, use: (api: DaemonApi) => Promise<T>): Promise<T> =>
  withApi(daemonApi(homeDirectory(home, process.env)), use);

/** @throws CliError where the token can't be read */
export async function apiOf(run: RunFile, home: string): Promise<DaemonApi> {
  return new DaemonApi(run, await readToken(home), home);
}

async function readToken(home: string): Promise<string> {
  const bytes = await readOrFail(join(home, 'admin.token'), 'run the command as the user that the daemon runs as');
  return bytes.toString('utf8').trim();
}

/** Of the daemon `run` that listens for `home`. */
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
            `look at its log, or restart it; if that process is not mtlsd: rm ${this.#home}/run.json`,
          ),
        );
      });
      request.end(body);
    });
  }

  async close(): Promise<void> {}
}
