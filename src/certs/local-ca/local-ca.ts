/** The local CA: made for this installation alone, or an intermediate of the user's own. */
import { openMadeCa } from './made-ca.ts';
import { openOwnCa } from './own-ca.ts';
import type { LocalCa, LocalCaOptions } from './state.ts';

/** @throws MtlsdError BAD_CONFIGURATION where it can't be used; the hint says what to do */
export async function openLocalCa(dir: string, { own, ...options }: LocalCaOptions = {}): Promise<LocalCa> {
  return own ? openOwnCa(dir, own, options) : openMadeCa(dir, options);
}
