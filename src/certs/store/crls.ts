/** The CRLs that the store names: files are read with it, and one that can't be used is a mistake in the store, with its place. */
import path from 'node:path';
import type { Crl } from '../../core/revocation/crl.ts';
import { type FileProblem, mergeRepeated } from '../../core/yaml/read.ts';
import { CrlUnusable, readCrlFile } from '../revocation/files.ts';
import type { ParsedSections, ParsedTrust } from './compile.ts';
import { fingerprints } from './files.ts';
import type { StoreSections } from './schema.ts';

export type Crls = {
  readonly files: readonly string[];
  /** Of all sources. */
  readonly sources: ReadonlySet<string>;
} & (
  | { readonly ok: true; readonly read: ReadonlyMap<string, CrlFile> }
  | { readonly ok: false; readonly problems: readonly FileProblem[] }
);

export interface CrlFile {
  /** Differs whenever its content may. */
  readonly print: string;
  readonly crls: readonly Crl[];
}

/** A URL as it is, or the absolute path of a file. */
function crlSource(text: string, folder: string): string {
  return isCrlUrl(text) ? text : path.resolve(folder, text);
}

const isCrlUrl = (text: string): boolean => text.startsWith('http://');

/** Those of every host, and with them those of the rule: a CRL speaks for its issuer, wherever it is named. */
export function crlSources(trusts: readonly ParsedTrust[], folder: string): string[] {
  return [...new Set(trusts.flatMap(({ crl }) => crl.map((item) => crlSource(item.path, folder))))];
}

/** The URLs that the store names, anywhere. */
export function crlUrlsOf({ trust, verification }: StoreSections): ReadonlySet<string> {
  const named = [trust, ...verification.rules.flatMap((rule) => rule.trust ?? [])].flatMap(({ crl = [] }) => crl);
  return new Set(named.filter(isCrlUrl));
}

/**
 * @param file of the store
 * @param before what was read the last time: a file that did not change is not read again
 */
export async function loadCrls(
  { trust, rules }: Pick<ParsedSections, 'trust' | 'rules'>,
  file: string,
  before: ReadonlyMap<string, CrlFile> = new Map(),
): Promise<Crls> {
  const folder = path.dirname(file);
  const items = [trust, ...rules.flatMap((rule) => rule.trust ?? [])].flatMap(({ crl }) => crl);
  const sources = new Set(items.map((item) => crlSource(item.path, folder)));
  const files = [...sources].filter((source) => !isCrlUrl(source));
  const prints = await fingerprints(files);
  const read = new Map<string, CrlFile>();
  const problems: FileProblem[] = [];
  for (const { path: text, line, column } of items) {
    const source = crlSource(text, folder);
    if (isCrlUrl(source) || read.has(source)) continue;
    const print = prints.get(source) ?? '';
    const known = before.get(source);
    try {
      read.set(source, known?.print === print ? known : { print, crls: await readCrlFile(source) });
    } catch (error) {
      if (!(error instanceof CrlUnusable)) throw error;
      problems.push({ file, line, column, message: error.message, expected: 'a file of CRLs, PEM or DER' });
    }
  }
  return problems.length > 0
    ? { ok: false, files, sources, problems: mergeRepeated(problems) }
    : { ok: true, files, sources, read };
}
