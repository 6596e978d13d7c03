/**
 * `npm run fuzz -- [--count N] [--seed S] [--surface NAME]`: N inputs in all; the same seed makes the same changes.
 * `npm run fuzz -- --surface NAME --input BASE64`: one input. Keys and certificates are new in each run, so only the bytes say
 * exactly what an input was.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import { SURFACES } from './surfaces.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    surface: { type: 'string' },
    input: { type: 'string' },
  },
});
const chosen = SURFACES.filter(({ name }) => values.surface === undefined || name === values.surface);
if (chosen.length === 0) {
  console.error(`no surface ${values.surface}; there are ${SURFACES.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

if (values.input !== undefined) {
  for (const surface of chosen) {
    const target = await surface.open();
    try {
      await target.check(Buffer.from(values.input, 'base64'));
      console.log(`${surface.name}: passed`);
    } finally {
      await target.close?.();
    }
  }
  process.exit(0);
}

const total = chosen.reduce((sum, { share }) => sum + share, 0);
const seed = Number(values.seed);
let inputs = 0;
for (const surface of chosen) {
  const count = Math.ceil((Number(values.count) * surface.share) / total);
  const result = await fuzz(surface, { seed, count });
  inputs += result.inputs;
  const { slowestMs, finding } = result;
  console.log(
    `${surface.name.padEnd(20)} ${String(result.inputs).padStart(8)} inputs in ${(result.ms / 1000).toFixed(1)} s, ` +
      `the slowest ${slowestMs.toFixed(1)} ms: ${finding ? 'FAILED' : 'passed'}`,
  );
  if (!finding) continue;
  const { index, input, error } = finding;
  console.log(`\ninput ${index}, made as small as it goes; again with:`);
  console.log(`npm run fuzz -- --surface ${surface.name} --input ${input.toString('base64')}`);
  console.log(error);
  process.exitCode = 1;
}
console.log(`${inputs} inputs, seed ${seed}`);
