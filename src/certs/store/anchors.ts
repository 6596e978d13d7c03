/** Trust anchors of the store, of its rules and of renewals; a CA file that can't be read is a mistake in the store, with its place. */
import path from 'node:path';
import { CodedError } from '../../core/errors.ts';
import { type FileProblem, mergeRepeated } from '../../core/yaml/read.ts';
import { detect } from '../identity/detect.ts';
import { toPem } from '../identity/pem.ts';
import { readIdentityFile } from '../identity/read-file.ts';
import { loadTrust, type TrustAnchors } from '../trust.ts';
import type { ParsedStore, ParsedTrust } from './compile.ts';

export type Anchors = { readonly files: readonly string[] } & (
  | { readonly ok: true; readonly of: (trust: ParsedTrust) => TrustAnchors }
  | { readonly ok: false; readonly problems: readonly FileProblem[] }
);

/** @param file of the store; paths in it are relative to its folder */
export async function loadAnchors(store: ParsedStore, file: string): Promise<Anchors> {
  const folder = path.dirname(file);
  const trusts = [
    store.trust,
    ...store.rules.flatMap((rule) => rule.trust ?? []),
    ...store.entries.flatMap(({ renewal }) => renewal?.trust ?? []),
  ];
  const pems = new Map<string, string>();
  const problems: FileProblem[] = [];
  for (const ca of trusts.flatMap((trust) => trust.ca)) {
    const full = path.resolve(folder, ca.path);
    if (pems.has(full)) continue;
    try {
      const pem = await readAnchorFile(full);
      loadTrust({ system: false, ca: [{ pem, file: full }] });
      pems.set(full, pem);
    } catch (error) {
      const { message, expected } = mistakeOf(error);
      problems.push({ file, line: ca.line, column: ca.column, message, expected });
    }
  }
  const files = trusts.flatMap((trust) => trust.ca.map((ca) => path.resolve(folder, ca.path)));
  if (problems.length > 0) return { ok: false, files, problems: mergeRepeated(problems) };
  const of = (trust: ParsedTrust) => {
    const ca = trust.ca
      .map((item) => path.resolve(folder, item.path))
      .map((full) => ({ file: full, pem: pems.get(full) ?? '' }));
    return loadTrust({ system: trust.system, ca });
  };
  return { ok: true, files, of };
}

/** @returns PEM text. @throws CodedError where it can't be read */
export async function readAnchorFile(file: string): Promise<string> {
  const { bytes, text } = await readIdentityFile({ path: file }, false);
  if (text !== null) return text;
  return detect(bytes).kind === 'certificate' ? toPem('CERTIFICATE', bytes) : bytes.toString('latin1');
}

function mistakeOf(error: unknown): { message: string; expected: string } {
  if (!(error instanceof CodedError)) throw error;
  const { code, message, hint } = error;
  return {
    message,
    expected: code === 'BAD_CONFIGURATION' ? hint.replace(/^expected /, '') : 'a file of CA certificates, PEM or DER',
  };
}
