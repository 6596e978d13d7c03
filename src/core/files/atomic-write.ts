/** Writes a file so that a crash at any moment leaves the old content or the new one, and after the return the new one. */
import { randomBytes } from 'node:crypto';
import { renameSync, statSync } from 'node:fs';
import { chmod, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { nativeCode } from '../errors.ts';

export interface WriteOptions {
  readonly mode: number;
  /** Called right before the rename, in the same turn of the event loop; false leaves the file unchanged. */
  readonly proceed?: () => boolean;
}

/** @returns whether it was written */
export async function writeAtomically(
  file: string,
  content: string | Buffer,
  { mode, proceed }: WriteOptions,
): Promise<boolean> {
  // In the same folder: rename is atomic within one file system only.
  const temporary = temporaryName(file);
  try {
    // On disk before the rename, or a power cut can leave a renamed file of no length.
    if (!(await createFile(temporary, content, 0o600))) throw new Error(`${temporary} exists`);
    await chmod(temporary, mode);
    if (proceed && !proceed()) {
      await rm(temporary, { force: true });
      return false;
    }
    renameSync(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
  return true;
}

/** @returns false where the file exists, which is then not changed */
export async function createFile(file: string, content: string | Buffer, mode: number): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (nativeCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Hidden, in the same folder, and known to `removeLeftovers`. */
export function temporaryName(file: string): string {
  const unique = `${process.pid}.${randomBytes(6).toString('hex')}`;
  return path.join(path.dirname(file), `.${path.basename(file)}.${unique}.tmp`);
}

/** A rename survives a power cut once its folder is on disk. Windows can't open folders. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what killed writers left. The caller holds the lock, since a live writer's file looks the same. */
export async function removeLeftovers(file: string): Promise<void> {
  const [folder, start] = [path.dirname(file), `.${path.basename(file)}.`];
  const names = await readdir(folder);
  await Promise.all(
    names
      .filter((name) => name.startsWith(start) && name.endsWith('.tmp'))
      .map((name) => rm(path.join(folder, name), { force: true })),
  );
}

/** Differs whenever the file was written or replaced; synchronous, for the moment before a rename. */
export function stampOf(file: string): string | null {
  const stats = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stats ? `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}` : null; // a second link changes ctime
}
