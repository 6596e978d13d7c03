/**
 * A program whose output is a secret: a passphrase, a key, a new certificate. Without a shell, with nothing on its input,
 * bounded in time and size, and nothing of what it writes in any message.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { nativeCode } from '../../core/errors.ts';

/** A password manager may ask its user for a fingerprint; a longer wait would block the start. */
export const PROGRAM_TIMEOUT_MS = 10_000;

export interface Program {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Beside the daemon's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program early. */
  readonly signal?: AbortSignal;
}

/** `why` completes "the command NAME …"; arguments are not in it, since some people have secrets there. */
export class ProgramFailed extends Error {}

/** @throws ProgramFailed */
export function runProgram({ command, cwd, timeoutMs, maxBytes, env, signal }: Program): Promise<Buffer> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new ProgramFailed('was not started, as the daemon is stopping'));
    let child: ChildProcessByStdio<null, Readable, null>;
    try {
      child = spawn(program, args, {
        cwd,
        stdio: ['ignore', 'pipe', 'ignore'],
        windowsHide: true,
        detached: process.platform !== 'win32',
        ...(env && { env: { ...process.env, ...env } }),
      });
    } catch (error) {
      // A NUL in an argument, and similar errors that Node finds before it starts the program.
      return reject(new ProgramFailed(`can't be started: ${nativeCode(error) ?? 'unknown error'}`));
    }
    const chunks: Buffer[] = [];
    let size = 0;
    let why: string | null = null;
    const end = (reason: string) => {
      why ??= reason;
      killGroup(child.pid);
      child.stdout.destroy();
    };
    const cancel = (): void => end('was ended, as the daemon is stopping');
    signal?.addEventListener('abort', cancel, { once: true });
    const timer = setTimeout(() => end(`took longer than ${timeoutMs / 1000} s`), timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) end(`wrote more than ${maxBytes} bytes`);
      else chunks.push(chunk);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new ProgramFailed(`can't be started: ${nativeCode(error) ?? 'unknown error'}`));
    });
    child.on('close', (code, ended) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      if (why !== null) reject(new ProgramFailed(why));
      else if (code !== 0)
        reject(new ProgramFailed(code === null ? `was ended by ${ended}` : `failed with exit code ${code}`));
      else resolve(Buffer.concat(chunks));
    });
  });
}

/** Kills the program's children too, which `sh -c` and wrappers leave behind. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
