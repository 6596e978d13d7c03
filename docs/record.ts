/**
 * Draws docs/demo.svg, the picture of the README, from a real run: the demo, its curl line, and the same without the certificate.
 * `node docs/record.ts` runs it. The picture follows the colour scheme of its reader.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const BIN = new URL('../bin/mtlsd.js', import.meta.url).pathname;
const PICTURE = new URL('demo.svg', import.meta.url);
const COLUMNS = 96;
const LINE_PX = 19;
const CHARACTER_PX = 8.2;
const PADDING_PX = 16;

interface Scene {
  readonly command: string;
  readonly output: readonly string[];
}

const demo = spawn(process.execPath, [BIN, 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
const said: string[] = [];
for await (const line of createInterface({ input: demo.stdout })) {
  said.push(line);
  if (line.startsWith('Log: ')) break;
}
const [withCertificate = '', without = ''] = said.map((line) => line.trim()).filter((line) => line.startsWith('curl '));
const scenes: Scene[] = [
  { command: 'npm run demo', output: said.slice(said.findIndex((line) => line.startsWith('GET '))).slice(0, 6) },
  {
    command: shortened(without),
    output: (await run(without))
      .trimEnd()
      .split('\n')
      .filter((line) => line !== ''),
  },
];
if (!/"subject": "CN=demo-client"/.test(await run(withCertificate))) throw new Error('the origin saw no certificate');
demo.kill('SIGTERM');
await new Promise((resolve) => demo.on('close', resolve));
writeFileSync(PICTURE, picture(scenes.map(({ command, output }) => ({ command, output: output.map(stable) }))));

async function run(command: string): Promise<string> {
  const child = spawn('bash', ['-c', `${command} --silent`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await new Promise((resolve) => child.on('close', resolve));
  return output;
}

/** The command as the reader types it once the environment is set. */
function shortened(command: string): string {
  return command.replace(/--noproxy '' --proxy \S+ --cacert \S+ /, '').replace(/localhost:\d+/, 'localhost:8443');
}

/** A picture that is drawn again differs only where the product does. */
function stable(line: string): string {
  return line
    .replace(/localhost:\d+/g, 'localhost:8443')
    .replace(/\/\S*mtlsd-demo-\w+/g, '~')
    .replace(/in [\d.]+ ms/, 'in 9.8 ms')
    .replace(/([0-9A-F]{2}:){31}[0-9A-F]{2}/, (print) => `${print.slice(0, 23)}:…`)
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*/, '2026-12-24')
    .replace(/x-[0-9a-f]{8}-/, 'x-2d5ffe1d-');
}

function picture(drawn: readonly Scene[]): string {
  const lines = drawn.flatMap(({ command, output }) => [
    ...wrapped(`$ ${command}`).map((text) => ({ kind: 'command', text })),
    ...output.flatMap((line) => wrapped(line).map((text) => ({ kind: kindOf(line), text }))),
    { kind: 'plain', text: '' },
  ]);
  lines.pop();
  const width = Math.ceil(COLUMNS * CHARACTER_PX + 2 * PADDING_PX);
  const height = lines.length * LINE_PX + 2 * PADDING_PX;
  const rows = lines.map(
    ({ kind, text }, at) =>
      `<text class="${kind}" x="${PADDING_PX}" y="${PADDING_PX + LINE_PX * (at + 1) - 5}" xml:space="preserve">${escaped(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="mtlsd demo in a terminal">
<style>
rect { fill: #f6f8fa; stroke: #d0d7de }
text { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328 }
.command { font-weight: 600 }
.good { fill: #116329 }
.bad { fill: #a40e26 }
@media (prefers-color-scheme: dark) {
  rect { fill: #0d1117; stroke: #30363d }
  text { fill: #e6edf3 }
  .good { fill: #56d364 }
  .bad { fill: #ff7b72 }
}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${rows.join('\n')}
</svg>
`;
}

function kindOf(line: string): string {
  if (/^mtlsd: |^code: /.test(line)) return 'bad';
  return /the origin saw|the daemon sent|^ +verified/.test(line) ? 'good' : 'plain';
}

function wrapped(line: string): string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > COLUMNS) {
    const space = rest.lastIndexOf(' ', COLUMNS);
    const end = space > COLUMNS / 2 ? space : COLUMNS;
    parts.push(rest.slice(0, end));
    rest = `  ${rest.slice(end).trimStart()}`;
  }
  return [...parts, rest];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
