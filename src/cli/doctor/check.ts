/** One thing that was looked at. */
export interface CheckResult {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped';
  /** One sentence, lower case, no full stop. */
  readonly message: string;
  /** How to fix it; a command where one helps. */
  readonly next: string | null;
}

export const ok = (check: string, message: string): CheckResult => ({ check, state: 'ok', message, next: null });
export const skipped = (check: string, message: string): CheckResult => ({
  check,
  state: 'skipped',
  message,
  next: null,
});
export const warning = (check: string, message: string, next: string): CheckResult => ({
  check,
  state: 'warning',
  message,
  next,
});
export const failed = (check: string, message: string, next: string): CheckResult => ({
  check,
  state: 'failed',
  message,
  next,
});
