/** What the operating system refused, as one sentence that names the cause first. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { CodedError, nativeCode } from '../errors.ts';

/** `reading`, `writing`: what was tried with the file. */
type Verb = 'read' | 'written' | 'made';

/** Lower case, no full stop. */
export function systemSentence(error: unknown, file: string, verb: Verb): string {
  const code = nativeCode(error) ?? 'unknown error';
  switch (code) {
    case 'ENOSPC':
      return `no space left on the disk of ${file}`;
    case 'EDQUOT':
      return `the disk quota of this user is used up: ${file} can't be ${verb}`;
    case 'EROFS':
      return `${file} can't be ${verb}: the file system is read-only`;
    case 'EACCES':
    case 'EPERM':
      return `${file} can't be ${verb}: permission denied`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `${file} can't be ${verb}: something that is not a folder is in its way`;
    default:
      return `${file} can't be ${verb}: ${code}`;
  }
}

/** What to do about it; null where the caller knows better. */
export function systemHint(error: unknown, file: string): string | null {
  switch (nativeCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      // df refuses a path that does not exist, as a lock that could not be made.
      return `free some space: df -h ${existsSync(file) ? file : path.dirname(file)}`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `run it as the owner of ${path.dirname(file)}, or name another home with --home DIR`;
    case 'ENOTDIR':
    case 'EEXIST':
      return 'name another home with --home DIR';
    default:
      return null;
  }
}

export function notWritable(error: unknown, file: string, verb: Verb): CodedError {
  const hint = systemHint(error, file) ?? 'check who may write in its folder, or change the file where it comes from';
  return new CodedError('NOT_WRITABLE', systemSentence(error, file, verb), hint);
}

const KNOWN = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST']);

/** An error of the operating system about the home folder or a file in it; any other error unchanged. */
export function asHomeFault(error: unknown, home: string): unknown {
  if (error instanceof CodedError || !KNOWN.has(nativeCode(error) ?? '')) return error;
  // To write says no path (Node 24).
  const file = (error as NodeJS.ErrnoException).path ?? home;
  const verb = (error as NodeJS.ErrnoException).syscall === 'mkdir' ? 'made' : 'written';
  return new CodedError('NOT_WRITABLE', systemSentence(error, file, verb), systemHint(error, home) ?? '', {
    cause: error,
  });
}
