/** A new curl process for one request, as a script's calls are. */
import type { Candidate, Running } from '../candidates/candidate.ts';
import type { Lab } from '../lab/lab.ts';
import { LOAD_CORE, start } from '../lab/processes.ts';

export interface CurlOptions {
  readonly target: number;
  readonly path: string;
  readonly args?: readonly string[];
}

export interface CurlTimes {
  /** Milliseconds from the start of the process to its end. */
  readonly processMs: number;
  /** Of them, what curl took from its first step to the last byte: without loading itself. */
  readonly transferMs: number;
}

export async function curl(
  lab: Lab,
  candidate: Candidate,
  running: Running,
  { target, path, args = [] }: CurlOptions,
): Promise<CurlTimes> {
  const own =
    candidate.kind === 'direct'
      ? ['--cert', lab.client.cert, '--key', lab.client.key]
      : running.port !== null
        ? ['--proxy', `http://127.0.0.1:${running.port}`]
        : [];
  const begun = performance.now();
  const program = start(
    'curl',
    [
      // Every candidate has a CA of its own, and checking it is the same work in all.
      ...[
        '--insecure',
        '--silent',
        '--show-error',
        '--fail',
        '--noproxy',
        '',
        '--max-time',
        '120',
        '--output',
        '/dev/null',
        '--write-out',
        '%{time_total}',
      ],
      ...own,
      ...args,
      `https://${running.at(target)}${path}`,
    ],
    { core: LOAD_CORE },
  );
  const code = await program.ended;
  const elapsed = performance.now() - begun;
  if (code !== 0) throw new Error(`curl ended with ${code}: ${program.output().trim()}`);
  return { processMs: elapsed, transferMs: Number(program.output()) * 1000 };
}
