import type { Scenario } from './scenario.ts';
import { descriptors } from './scenarios/descriptors.ts';
import { drain } from './scenarios/drain.ts';
import { identities } from './scenarios/identities.ts';
import { idle } from './scenarios/idle.ts';

export const SCENARIOS: readonly Scenario[] = [identities, drain, descriptors, idle];
