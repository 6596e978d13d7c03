/** What commands print: aligned, in colour on a terminal only, or JSON. */
import { stripVTControlCharacters, styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Node itself honors NO_COLOR, FORCE_COLOR and whether it is a terminal. */
export function paint(format: Format, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** An answer of the API: unchanged with `--json`, else in words. */
export function printAnswer<T>(json: boolean | undefined, answer: T, words: (answer: T) => string): void {
  if (json) printJson(answer);
  else print(words(answer));
}

/** Columns as wide as their widest cell; an empty cell is `-`, so that columns stay columns for other programs too. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header.map((title) => paint('bold', title)), ...rows].map((row) => row.map((cell) => cell || '-'));
  const widths = header.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ''))));
  return all.map((row) => line(row, widths)).join('');
}

/** Two columns without a header: label and value. Further lines of a value are aligned with its first. */
export function pairs(rows: readonly (readonly [string, string | null])[], indent = ''): string {
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== null);
  const widest = Math.max(0, ...shown.map(([label]) => label.length));
  return shown
    .map(([label, value]) => {
      const lines = value.split('\n').join(`\n${indent}${' '.repeat(widest + 2)}`);
      return `${indent}${paint('dim', label.padEnd(widest))}  ${lines}\n`;
    })
    .join('');
}

function line(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell)));
  return `${padded.join('  ').trimEnd()}\n`;
}

const width = (text: string): number => stripVTControlCharacters(text).length;

/** Shows what takes long, on a terminal only; `done` clears the line. */
export function progress(text: string): { done(): void } {
  if (!process.stderr.isTTY) return { done: () => {} };
  process.stderr.write(text);
  return { done: () => void process.stderr.write('\r\x1b[2K') };
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`;

/** `a, b and c` */
export function listed(items: readonly string[], last = 'and'): string {
  if (items.length < 2) return items[0] ?? '';
  return `${items.slice(0, -1).join(', ')} ${last} ${items.at(-1)}`;
}

/** `in 12 days`, `today`, `3 days ago` */
export function inDays(days: number): string {
  if (days < 0) return `${count(-days, 'day')} ago`;
  return days === 0 ? 'today' : `in ${count(days, 'day')}`;
}

/** `2026-08-01 12:00:00`, in this machine's time. */
export function localTime(rfc3339: string): string {
  const at = new Date(rfc3339);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(rfc3339)}`;
}

export function clock(rfc3339: string): string {
  return new Date(rfc3339).toTimeString().slice(0, 8);
}
