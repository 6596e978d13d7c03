/** Copies of what clients need of the local CA, where other users and containers may read them: the home is 0700. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { writeAtomically } from '../../core/files/atomic-write.ts';
import type { LocalCa } from './state.ts';

/**
 * Writes `ca.pem` and `bundle.pem`, 0644 whatever the umask; made 0755 where the folder is missing.
 * @throws MtlsdError BAD_CONFIGURATION where the folder can't be written
 */
export async function publishCa(
  { certPath, bundlePath }: Pick<LocalCa, 'certPath' | 'bundlePath'>,
  dir: string,
): Promise<void> {
  try {
    if (await mkdir(dir, { recursive: true })) await chmod(dir, 0o755);
    for (const [name, source] of [
      ['ca.pem', certPath],
      ['bundle.pem', bundlePath],
    ] as const)
      await writeIfChanged(join(dir, name), await readFile(source));
  } catch (error) {
    throw new MtlsdError(
      'BAD_CONFIGURATION',
      `public_dir: ${dir} can't be written: ${nativeCode(error) ?? String(error)}`,
      {
        hint: 'make the folder and let the user of the daemon own it, or name another in mtlsd.yaml',
        cause: error,
      },
    );
  }
}

/** Clients and configuration management watch these files; a new inode at each start would make them reload. */
async function writeIfChanged(file: string, content: Buffer): Promise<void> {
  const old = await readFile(file).catch(() => null);
  if (old?.equals(content)) return;
  await writeAtomically(file, content, { mode: 0o644 });
}
