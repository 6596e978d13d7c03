/** certificates.yaml as checked plain data: what the parser's thread hands over. */

import type { CrossSite, StoreSections } from './snapshot.ts';

/** One mistake in a store file. */
export interface StoreProblem {
  readonly file: string;
  /** 1-based; 1:1 where the mistake has no place. */
  readonly line: number;
  readonly column: number;
  /** Lower case, no full stop: what is wrong. */
  readonly message: string;
  readonly expected: string;
}

/** `certificates.yaml:12:5: port is 0; expected a port from 1 to 65535` */
export function describeProblem(problem: StoreProblem): string {
  const file = problem.file.split(/[\\/]/).at(-1) ?? problem.file;
  return `${file}:${problem.line}:${problem.column}: ${problem.message}; expected ${problem.expected}`;
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where a passphrase comes from; `text` is the secret itself and is wrapped as soon as it is used. */
export type ParsedPassphrase =
  | { readonly text: string }
  | { readonly env: string }
  | { readonly file: string }
  | { readonly command: readonly string[] };

export interface ParsedEntry extends Place {
  readonly name: string;
  /** Canonical: exact host, `*.suffix` or `*`. */
  readonly host: string;
  readonly port: number | '*';
  readonly enabled: boolean;
  readonly profile: string | null;
  readonly withholdUnverified: boolean;
  readonly crossSite: CrossSite;
  /** Paths as written. */
  readonly cert: string | null;
  readonly key: string | null;
  readonly pfx: string | null;
  readonly alias: string | null;
  readonly passphrase: ParsedPassphrase | null;
  /** Equal for two readings of the entry exactly when every field is equal. A hash, since it covers the passphrase. */
  readonly signature: string;
}

export interface ParsedTrust {
  readonly system: boolean;
  readonly ca: readonly (Place & { readonly path: string })[];
}

export interface ParsedRule extends Place {
  readonly host: string;
  readonly port: number | '*';
  readonly mode: 'enforce' | 'report' | null;
  readonly trust: ParsedTrust | null;
  readonly allow: readonly string[];
  readonly pins: readonly string[];
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly serverName: string | null;
}

export interface HostPort {
  readonly host: string;
  readonly port: number | '*';
}

export interface ParsedSections {
  /** As written, with defaults. */
  readonly written: StoreSections;
  readonly trust: ParsedTrust;
  readonly mode: 'enforce' | 'report';
  readonly rules: readonly ParsedRule[];
  readonly interception: {
    readonly mode: 'all' | 'listed';
    readonly unmatched: 'intercept' | 'passthrough' | 'refuse';
    readonly passthrough: readonly HostPort[];
  };
}

export interface ParsedStore extends ParsedSections {
  readonly entries: readonly ParsedEntry[];
}

export type ParseOutcome =
  | { readonly ok: true; readonly store: ParsedStore }
  | { readonly ok: false; readonly problems: readonly StoreProblem[] };
