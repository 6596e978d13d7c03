/** The API of the daemon where one runs; else of the files. */
import { readRunFile } from '../../run-file.ts';
import type { Api } from './api.ts';
import { apiOf } from './daemon.ts';

export async function anyApi(home: string): Promise<Api> {
  const run = await readRunFile(home);
  if (run) return apiOf(run, home);
  // Only here: to load and build the API takes a third of a second.
  const { filesApi } = await import('./files.ts');
  return filesApi(home);
}
