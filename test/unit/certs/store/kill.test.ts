import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { editStore } from '../../../../src/certs/store/edit.ts';
import { parseStore } from '../../../../src/certs/store/parse.ts';
import { folderFor } from './support.ts';

const kills = 200;
const start = '# kept\nversion: 1\ncertificates:\n  - { name: first, host: first.example, cert: x.pem }\n';
/** An edit takes some 10 ms: the moments are spread over two of them. */
const longestMs = 25;

/** Lets a writer go, kills it at a random moment after its first acknowledgement, and gives what was acknowledged. */
async function writeAndDie(file: string, prefix: string): Promise<string[]> {
  const acknowledged: string[] = [];
  const child: ChildProcess = fork(path.join(import.meta.dirname, 'kill-child.ts'), [file, prefix], {
    stdio: 'ignore',
    execArgv: [], // without what the test runner adds
  });
  const exited = once(child, 'exit');
  child.on('message', (name) => acknowledged.push(name as string));
  await once(child, 'message');
  await wait(Math.random() * longestMs); // the moment of the kill, not a wait for something
  child.kill('SIGKILL');
  await exited;
  return acknowledged;
}

function names(file: string): string[] | null {
  const outcome = parseStore(readFileSync(file, 'utf8'), file);
  return outcome.ok ? outcome.store.entries.map(({ name }) => name) : null;
}

test(`${kills} writers killed at random moments: the file always parses, and no acknowledged change is lost`, async () => {
  const folder = folderFor();
  const lost: string[] = [];
  let broken = 0;
  const lane = async (lane: number) => {
    const own = path.join(folder, `${lane}.yaml`);
    writeFileSync(own, start, { mode: 0o600 });
    for (let round = 0; round < kills / 4; round++) {
      const acknowledged = await writeAndDie(own, `r${round}-`);
      const there = names(own);
      if (there === null) broken++;
      lost.push(...acknowledged.filter((name) => !there?.includes(name)));
      // Keeps the file small, and shows that the lock of a dead writer blocks no other.
      if (round % 10 === 9) writeFileSync(own, start, { mode: 0o600 });
    }
    await editStore(own, { do: 'add-certificate', certificate: { name: 'last', host: 'x', cert: 'x' } });
    expect(readFileSync(own, 'utf8')).toMatch(/^# kept\n/);
  };
  await Promise.all([0, 1, 2, 3].map(lane));
  expect({ broken, lost }).toEqual({ broken: 0, lost: [] });
  expect(readdirSync(folder).sort()).toEqual(['0.yaml', '1.yaml', '2.yaml', '3.yaml']);
}, 400_000);
