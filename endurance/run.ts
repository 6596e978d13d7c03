/** `npm run endurance -- [SCENARIO…] [--scale N]`: all scenarios where none is named; 1 is the full scale. */
import { parseArgs } from 'node:util';
import { SCENARIOS } from './scenarios.ts';

const { values, positionals } = parseArgs({
  options: { scale: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const scale = Number(values.scale);
const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0 || !(scale > 0)) {
  console.error(`usage: npm run endurance -- [${SCENARIOS.map(({ name }) => name).join('|')}]… [--scale N]`);
  process.exit(2);
}

for (const scenario of SCENARIOS) {
  const { name } = scenario;
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const begun = performance.now();
  const took = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  try {
    const figures = Object.entries(await scenario.run(scale)).map(
      ([what, value]) => `${what} ${value.toLocaleString('en')}`,
    );
    console.log(`${name}: passed in ${took()}: ${figures.join(', ')}`);
  } catch (error) {
    console.log(`${name}: FAILED in ${took()}: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
  }
}
