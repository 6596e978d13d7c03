import { readFile } from 'node:fs/promises';
import { nativeCode } from '../core/errors.ts';
import { CliError } from './errors.ts';

/** @throws CliError with the hint where the file can't be read */
export async function readOrFail(file: string, hint = 'check the path'): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new CliError(`${file} can't be read: ${nativeCode(error) ?? 'unknown error'}`, hint);
  });
}
