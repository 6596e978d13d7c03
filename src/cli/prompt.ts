/** Questions to a person: on the terminal itself, so that input and output may be redirected. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Secret } from '../core/secret.ts';
import { CliError } from './errors.ts';

export const isInteractive = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** Does not show what is typed. */
export async function askSecret(question: string): Promise<Secret> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // The interface turns the terminal's echo off; before that, a quick answer would be shown.
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  const text = await ask(lines, '');
  process.stderr.write('\n');
  return new Secret(text);
}

/** No unless yes is typed. */
export async function confirm(question: string): Promise<boolean> {
  const answer = await ask(createInterface({ input: process.stdin, output: process.stderr }), `${question} [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

function ask(lines: ReturnType<typeof createInterface>, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    lines.on('SIGINT', () => {
      lines.close();
      process.stderr.write('\n');
      reject(new CliError('given up'));
    });
    lines.on('close', () => reject(new CliError('the input ended before an answer')));
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}

/** All of standard input, less the line break that `echo` adds. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
