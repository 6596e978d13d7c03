/** Plots as SVG text: bars in groups, and a line. Colours that stand on light and dark grounds. */

const COLOURS = ['#3b7dd8', '#e0903a'];
const INK = '#808890';
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

export interface BarRow {
  readonly name: string;
  /** One for each series; NaN for one that failed. */
  readonly values: readonly number[];
}

/** Lengths are cut at four times the median, with the figure beside it: one slow candidate would flatten all others. */
export function bars(title: string, series: readonly string[], rows: readonly BarRow[]): string {
  const all = rows.flatMap(({ values }) => values).filter((value) => !Number.isNaN(value));
  const sorted = [...all].sort((a, b) => a - b);
  const longest = Math.min(sorted.at(-1) ?? 1, 4 * (sorted[sorted.length >> 1] ?? 1)) || 1;
  const left = 150;
  const width = 420;
  const thick = 14;
  const step = series.length * (thick + 2) + 10;
  const top = 50;
  const parts = rows.map(({ name, values }, row) => {
    const y = top + row * step;
    const label = text(left - 8, y + (series.length * (thick + 2)) / 2 + 3, name, 'end');
    const drawn = values.map((value, at) => {
      const barY = y + at * (thick + 2);
      if (Number.isNaN(value)) return text(left + 6, barY + 11, 'failed');
      const cut = value > longest;
      const length = Math.max(1, (Math.min(value, longest) / longest) * width);
      const figure = `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en')}${cut ? ' →' : ''}`;
      return `<rect x="${left}" y="${barY}" width="${length.toFixed(1)}" height="${thick}" rx="2" fill="${COLOURS[at]}"/>${text(left + length + 6, barY + 11, figure)}`;
    });
    return label + drawn.join('');
  });
  const legend =
    series.length > 1
      ? series
          .map(
            (name, at) =>
              `<rect x="${left + at * 160}" y="28" width="10" height="10" fill="${COLOURS[at]}"/>${text(left + at * 160 + 15, 37, name)}`,
          )
          .join('')
      : '';
  return svg(left + width + 90, top + rows.length * step, title, legend + parts.join('\n'));
}

export function line(title: string, points: readonly { readonly x: number; readonly y: number }[]): string {
  const [left, top, width, height] = [60, 40, 560, 200];
  const maxX = Math.max(1, ...points.map(({ x }) => x));
  const maxY = Math.max(1, ...points.map(({ y }) => y)) * 1.1;
  const at = (x: number, y: number): [number, number] => [
    left + (x / maxX) * width,
    top + height - (y / maxY) * height,
  ];
  const path = points
    .map(({ x, y }) =>
      at(x, y)
        .map((value) => value.toFixed(1))
        .join(','),
    )
    .join(' ');
  const axes = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const y = at(0, share * maxY)[1];
    return [
      `<line x1="${left}" x2="${left + width}" y1="${y}" y2="${y}" stroke="${INK}" stroke-opacity="0.3"/>`,
      text(left - 6, y + 4, Math.round(share * maxY).toString(), 'end'),
      text(at(share * maxX, 0)[0], top + height + 18, Math.round(share * maxX).toLocaleString('en'), 'middle'),
    ];
  });
  return svg(
    left + width + 60,
    top + height + 30,
    title,
    `${axes.join('')}<polyline points="${path}" fill="none" stroke="${COLOURS[0]}" stroke-width="2"/>`,
  );
}

function svg(width: number, height: number, title: string, content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ${FONT}>
<title>${escape(title)}</title>
<text x="10" y="18" font-weight="600" fill="${INK}">${escape(title)}</text>
${content}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${INK}">${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
