import type { Scenario } from './scenario.ts';
import { descriptors } from './scenarios/descriptors.ts';
import { drain } from './scenarios/drain.ts';
import { ends } from './scenarios/ends.ts';
import { identities } from './scenarios/identities.ts';
import { idle } from './scenarios/idle.ts';
import { resets } from './scenarios/resets.ts';
import { slow } from './scenarios/slow.ts';

export const SCENARIOS: readonly Scenario[] = [identities, ends, resets, drain, descriptors, idle, slow];
