/** Programs of this machine. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The path of a program, or null; also where only root's PATH has it. */
export async function findProgram(name: string): Promise<string | null> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const names = process.platform === 'win32' ? [`${name}.exe`, `${name}.cmd`, name] : [name];
  for (const folder of folders.filter(Boolean)) {
    for (const file of names) {
      const path = join(folder, file);
      const usable = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (usable) return path;
    }
  }
  return null;
}
