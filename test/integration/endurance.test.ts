/** A small run of what `npm run endurance` runs at full scale by hand: docs/reliability.md has its results. */
import { expect, test } from 'vitest';
import { SCENARIOS } from '../../endurance/scenarios.ts';

/** Of the full scale. */
const SCALES: Readonly<Record<string, number>> = {
  identities: 0.02,
  ends: 0.02,
  resets: 0.05,
  idle: 0.02,
  drain: 0.4,
  descriptors: 0.2,
  slow: 0.05,
};

test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
  '%s',
  async (name, scenario) => {
    const scale = SCALES[name] ?? 0.02;
    expect(Object.keys(await scenario.run(scale)).length).toBeGreaterThan(0);
  },
  120_000,
);
