// @ts-check
// Answers `mtlsd health` before anything else of mtlsd is loaded, since container engines run it every few seconds.
// Only builtins that Node has loaded by then, or loads in a millisecond.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Engines that give up earlier say so themselves. */
const TIMEOUT_MS = 3_000;
/** The answer has some 300 bytes; whatever sends more is not mtlsd. */
const MOST_BYTES = 16_384;

/**
 * The home folder: where settings, certificates and the local CA are.
 * @param {string | undefined} flag `--home`
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
export function homeDirectory(flag, env) {
  if (flag) return resolve(flag);
  if (env.MTLSD_HOME) return resolve(env.MTLSD_HOME);
  return env.XDG_CONFIG_HOME ? join(env.XDG_CONFIG_HOME, 'mtlsd') : join(homedir(), '.config', 'mtlsd');
}

/**
 * Whether these arguments are `health` with nothing but `--home DIR`: the rest, such as `--help`, is the command line's.
 * @param {readonly string[]} args
 * @returns {{ home: string | undefined } | null}
 */
export function healthCall(args) {
  const rest = args.filter((arg) => arg !== 'health');
  if (rest.length !== args.length - 1) return null;
  if (rest.length === 0) return { home: undefined };
  if (rest.length === 2 && rest[0] === '--home') return { home: rest[1] };
  return null;
}

/**
 * Asks the daemon of a home, at the admin address in its run.json, whether it takes connections.
 * @param {string} home
 * @returns {Promise<{ ready: boolean, message: string }>}
 */
export async function health(home) {
  let admin;
  try {
    ({ admin } = JSON.parse(readFileSync(join(home, 'run.json'), 'utf8')));
  } catch {
    admin = null;
  }
  if (typeof admin !== 'string') return { ready: false, message: `no daemon runs for ${home}` };
  const answer = await ask(admin);
  if (/^HTTP\/1\.1 200 [^]*"ready"/.test(answer)) return { ready: true, message: `ready, admin API on ${admin}` };
  if (answer.startsWith('HTTP/1.1 503 ')) return { ready: false, message: 'not ready: the daemon starts or drains' };
  return { ready: false, message: `the daemon does not answer on ${admin}: ${answer.split('\r\n')[0]}` };
}

/**
 * The answer to GET /readyz, or in its place why there is none.
 * @param {string} admin `http://127.0.0.1:8741` or `unix:PATH`
 * @returns {Promise<string>}
 */
function ask(admin) {
  const [, host = '', port = ''] = /^http:\/\/(.+):(\d+)$/.exec(admin) ?? [];
  const socket = admin.startsWith('unix:')
    ? connect(admin.slice(5))
    : connect({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) });
  return new Promise((settle) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      text += chunk;
      if (text.length > MOST_BYTES) socket.destroy();
    });
    socket.on('error', (error) => settle(/** @type {NodeJS.ErrnoException} */ (error).code ?? error.message));
    socket.on('close', () => settle(text === '' ? 'it closed the connection' : text));
    setTimeout(() => {
      settle(`no answer in ${TIMEOUT_MS / 1000} s`);
      socket.destroy();
    }, TIMEOUT_MS).unref();
    socket.write(
      `GET /readyz HTTP/1.1\r\nHost: ${host === '' ? 'unix' : `${host}:${port}`}\r\nConnection: close\r\n\r\n`,
    );
  });
}
