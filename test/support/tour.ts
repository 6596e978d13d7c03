/** Types the commands of a tour in docs/, for a test to compare the output. With MTLSD_UPDATE_TOUR=1 it writes that into the document. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunningDaemon } from './daemon.ts';

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;
const EXCHANGE = /x-[0-9a-f]{8}-[0-9a-z]+/;

export interface Typed {
  readonly code: number | null;
  /** Both streams, in the order in which they came. */
  readonly output: string;
}

/** Types one line in a shell where `mtlsd` is the command and `desk` the folder. */
export type Shell = (line: string) => Promise<Typed>;

export function openShell(desk: string, home: string, env: NodeJS.ProcessEnv = {}): Shell {
  const bin = join(desk, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'mtlsd'), `#!/bin/sh\nexec "${process.execPath}" "${BIN}" "$@"\n`, { mode: 0o755 });
  return (line) => {
    const child = spawn('bash', ['-c', line], {
      cwd: desk,
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, HOME: desk, MTLSD_HOME: home, ...env },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.stdin.end();
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
  };
}

/**
 * @param document of docs/, with `console` blocks; the daemon runs already, so `mtlsd start` is shown and not typed
 * @param ports of the test's own servers, with the ones that the document shows
 */
export async function followTour(
  document: URL,
  { desk, daemon, ports = [] }: { desk: string; daemon: RunningDaemon; ports?: readonly (readonly [number, number])[] },
): Promise<{ actual: string; documented: string }> {
  const type = openShell(desk, daemon.home);
  const text = readFileSync(document, 'utf8');
  const isUpdating = process.env.MTLSD_UPDATE_TOUR !== undefined;
  let updated = text;
  let exchange = '';
  for (const [block, content = ''] of text.matchAll(/```console\n(.*?)```/gs)) {
    let shown = '';
    for (const [, command = ''] of content.matchAll(/^\$ (.+)$/gm)) {
      // Ids in the transcript are those of its own run.
      const typed = command.replace(EXCHANGE, exchange);
      const actual = command === 'mtlsd start' ? '' : asAtHome((await type(typed)).output);
      exchange = EXCHANGE.exec(actual)?.[0] ?? exchange;
      shown += `$ ${typed}\n${actual}`;
    }
    updated = updated.replace(block, () => `\`\`\`console\n${shown}\`\`\``);
  }
  if (isUpdating) writeFileSync(document, updated);
  return { actual: withoutVariation(updated), documented: withoutVariation(isUpdating ? updated : text) };

  /** The output as it is in a real home, on the usual ports. */
  function asAtHome(output: string): string {
    const usual = output
      .replaceAll(daemon.home, '/home/you/.config/mtlsd')
      .replaceAll(desk, '/home/you')
      .replaceAll(daemon.proxy, 'http://127.0.0.1:8740')
      .replaceAll(daemon.admin, 'http://127.0.0.1:8741')
      .replace(/mtlsd local CA \(.*?,/g, 'mtlsd local CA (laptop\\,');
    return ports.reduce((all, [real, shown]) => all.replaceAll(`127.0.0.1:${real}`, `127.0.0.1:${shown}`), usual);
  }
}

/** The text without what differs from run to run. */
function withoutVariation(output: string): string {
  return output
    .replace(/\b([0-9A-F]{2}:){19,}[0-9A-F]{2}\b/g, 'FINGERPRINT')
    .replace(/\b([cx])-[0-9a-f]{8}-[0-9a-z]+\b/g, '$1-ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replace(/\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?/g, 'TIME')
    .replace(/\b\d\d:\d\d:\d\d\b/g, 'TIME')
    .replace(/\b\d+(\.\d+)? ms\b/g, 'N ms')
    .replace(/(TCP|TLS|waited) \d+(\.\d+)?/g, '$1 N')
    .replace(/\b(process|version) [\d.]+/g, '$1 N')
    .replace(/(serial +)[0-9A-F]+/g, '$1SERIAL')
    .replace(/127\.0\.0\.1:\d{5}/g, '127.0.0.1:PORT')
    .replace(/\d+ trust anchors/g, 'N trust anchors')
    .replace(/\bin \d+ days\b/g, 'in N days')
    .replace(/ +/g, ' ');
}
