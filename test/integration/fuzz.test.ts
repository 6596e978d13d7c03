/** A fixed run of what `npm run fuzz` runs for longer: docs/reliability.md has its results. */
import { expect, test } from 'vitest';
import { fuzz } from '../../fuzz/fuzz.ts';
import { SURFACES } from '../../fuzz/surfaces.ts';

/** Of each share of a surface: about half a minute for all. */
const INPUTS_PER_SHARE = 500;

test.each(SURFACES.map((surface) => [surface.name, surface] as const))(
  '%s',
  async (_name, surface) => {
    const { finding, inputs } = await fuzz(surface, { seed: 1, count: surface.share * INPUTS_PER_SHARE });
    expect(finding, finding?.input.toString('base64')).toBeNull();
    expect(inputs).toBe(surface.share * INPUTS_PER_SHARE);
  },
  180_000,
);
