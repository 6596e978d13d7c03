/** The API of the daemon where one runs; else of the files. */
import { readRunFile } from '../../run-file.ts';
import { homeDirectory } from '../../home.ts';
import { type Api, withApi } from './api.ts';
import { apiOf } from './daemon.ts';

export async function anyApi(home: string): Promise<Api> {
  const run = await readRunFile(home);
  if (run) return apiOf(run, home);
  // Only here: to load and build the API takes a third of a second.
  const { filesApi } = await import('./files.ts');
  return filesApi(home);
}

/** @param home the value of `--home` */
export const withAnyApi = <T>(home: string | undefined, use: (api: Api) => Promise<T>): Promise<T> =>
  withApi(anyApi(homeDirectory(home, process.env)), use);
