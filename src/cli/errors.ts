/** What a command fails with: what and why in the message, what next in the hint. */
export class CliError extends Error {
  readonly hint: string | null;
  /** 1 failed, 2 wrong usage. */
  readonly exitCode: 1 | 2;
  /** More lines, one for each thing found. */
  readonly details: readonly string[];

  constructor(message: string, hint: string | null = null, exitCode: 1 | 2 = 1, details: readonly string[] = []) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
    this.details = details;
  }
}

export const usage = (message: string, hint: string): CliError => new CliError(message, hint, 2);

/** Prints an error of any kind; returns the exit code. */
export function report(error: unknown): number {
  const { message, hint, exitCode, details } = asCliError(error);
  const lines = message.split('\n').map((line) => `mtlsd: ${line}`);
  for (const detail of details) lines.push(`  ${detail}`);
  if (hint !== null && hint !== '') lines.push(`next: ${hint}`);
  process.stderr.write(`${lines.join('\n')}\n`);
  return exitCode;
}

function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (!(error instanceof Error)) return new CliError(String(error));
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  if (typeof hint !== 'string') return new CliError(error.message);
  const wrongUsage = code === 'BAD_CONFIGURATION' || code === 'BAD_AUTHORITY';
  // Lines with a place each say themselves what to do.
  const general = error.message.includes('\n') || hint === 'correct the file at the place named';
  return new CliError(error.message, general && code === 'BAD_CONFIGURATION' ? null : hint, wrongUsage ? 2 : 1);
}

export const notRunning = (home: string): CliError =>
  new CliError(`no daemon runs for ${home}`, 'mtlsd start, or name another home with --home DIR');
