/** Puts what was measured between the markers of bench/README.md; people write the rest of the page. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Case, Section } from '../cases/case.ts';
import { markdown } from './table.ts';

const BENCH = join(import.meta.dirname, '..');
const README = join(BENCH, 'README.md');

export function render({ id, title }: Case, section: Section, stamp: string): string {
  const aims = (section.aims ?? []).map(({ what, atMost, measured, unit = '' }) => {
    const digits = atMost < 10 ? 2 : 0;
    const figure = (value: number): string => `${value.toFixed(digits)} ${unit}`.trim();
    return [
      what,
      figure(atMost),
      Number.isNaN(measured) ? '–' : figure(measured),
      Number.isNaN(measured) ? '–' : measured <= atMost ? 'yes' : 'no',
    ];
  });
  return [
    `### ${id}. ${title}`,
    section.how,
    ...section.tables.map(({ head, rows }) => markdown(head, rows)),
    ...(aims.length > 0 ? [markdown(['aim of mtlsd', 'at most', 'measured', 'reached'], aims)] : []),
    ...(section.plots ?? []).map((plot) => `![${plot.title}](plots/${plot.name}.svg)`),
    ...(section.notes ?? []).map((note) => `- ${note}`),
    stamp,
  ].join('\n\n');
}

export function writePlots(section: Section): void {
  mkdirSync(join(BENCH, 'plots'), { recursive: true });
  for (const { name, svg } of section.plots ?? []) writeFileSync(join(BENCH, 'plots', `${name}.svg`), svg);
}

/** @throws Error where the page has no such markers */
export function replaceBetween(marker: string, content: string): void {
  const page = readFileSync(README, 'utf8');
  const [open, close] = [`<!-- ${marker} -->`, `<!-- /${marker} -->`];
  const from = page.indexOf(open);
  const to = page.indexOf(close);
  if (from === -1 || to < from) throw new Error(`${README} has no ${open} … ${close}`);
  writeFileSync(README, `${page.slice(0, from + open.length)}\n${content}\n${page.slice(to)}`);
}
