import { CodedError } from '../core/errors.ts';

/** What a command fails with: what and why in the message, what next in the hint. */
export class CliError extends CodedError {
  /** 1 failed, 2 wrong usage. */
  readonly exitCode: 1 | 2;

  /** @param details more lines, one for each thing found */
  constructor(message: string, hint = '', exitCode: 1 | 2 = 1, details: readonly string[] = [], code = 'FAILED') {
    super(code, message, hint, { details });
    this.exitCode = exitCode;
  }
}

export const usage = (message: string, hint: string): CliError => new CliError(message, hint, 2);

/** Prints an error of any kind; returns the exit code. */
export function report(error: unknown): number {
  const { message, hint, exitCode, details } = asCliError(error);
  const lines = message.split('\n').map((line) => `mtlsd: ${line}`);
  for (const detail of details) lines.push(`  ${detail}`);
  if (hint !== '') lines.push(`next: ${hint}`);
  process.stderr.write(`${lines.join('\n')}\n`);
  return exitCode;
}

function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (!(error instanceof CodedError)) return new CliError(error instanceof Error ? error.message : String(error));
  const { code, hint } = error;
  const wrongUsage = code === 'BAD_CONFIGURATION' || code === 'BAD_AUTHORITY';
  // Lines with a place each say themselves what to do.
  const general = error.message.includes('\n') || hint === 'correct the file at the place named';
  return new CliError(error.message, general && code === 'BAD_CONFIGURATION' ? '' : hint, wrongUsage ? 2 : 1);
}

export const notRunning = (home: string): CliError =>
  new CliError(`no daemon runs for ${home}`, 'mtlsd start, or name another home with --home DIR');
