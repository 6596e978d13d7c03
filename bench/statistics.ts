export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * The median of the rounds' ratios. What disturbs a shared machine lasts longer than a candidate's turn, so a ratio within one
 * round is steadier than one of two medians.
 */
export function ratio(values: readonly number[], reference: readonly number[]): number {
  return median(values.map((value, round) => value / (reference[round] ?? NaN)));
}

export const number = (value: number, digits = 0): string =>
  !Number.isFinite(value)
    ? 'failed'
    : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const share = (value: number): string => (!Number.isFinite(value) ? '–' : value.toFixed(2));
