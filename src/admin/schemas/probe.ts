/** What a probe is asked and what it says. */
import { type Static, Type } from 'typebox';
import type { Plain } from '../../core/schema.ts';
import { ProbeResultSchema } from '../../inspect/probe/result-schema.ts';
import { Authority, closed, flag, nullable } from './common.ts';

export const ProbeBody = Type.Object(
  {
    authority: Authority,
    certificate: Type.Optional(
      nullable(
        Type.String({
          maxLength: 100,
          description: 'The entry to present; null for none. Left out: the one that a request would get.',
        }),
      ),
    ),
    profile: Type.Optional(Type.String({ maxLength: 100, errorMessage: 'the name of a profile' })),
    ciphers: flag('Also find every cipher on offer; true when left out.'),
  },
  { ...closed, errorMessage: 'an object with authority' },
);
export type ProbeBody = Static<typeof ProbeBody>;

export const ProbeSchema = Type.Object(
  {
    certificate: Type.Object(
      {
        name: nullable(Type.String({ description: 'The entry presented; null for none.' })),
        reason: Type.String(),
        usable: Type.Boolean(),
      },
      closed,
    ),
    via: nullable(Type.String({ description: 'The proxy upstream; `address` is then null, as it alone knows it.' })),
    ...ProbeResultSchema.properties,
  },
  { ...closed, $id: 'Probe', description: 'A server looked at closely.' },
);
export type ProbeAnswer = Plain<typeof ProbeSchema>;
