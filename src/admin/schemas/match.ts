/** What a dry run says. */
import { type Static, Type } from 'typebox';
import type { Diagnosis } from '../../certs/identity/identity.ts';
import type { Candidate } from '../../certs/store/snapshot.ts';
import { DiagnosisSchema } from './certificate.ts';
import { Authority, closed, named, nullable, shapeOf } from './common.ts';

export const MatchQuery = Type.Object(
  {
    authority: Authority,
    profile: Type.Optional(
      Type.String({ maxLength: 100, description: "As the proxy's user name.", errorMessage: 'the name of a profile' }),
    ),
    certificate: Type.Optional(
      Type.String({
        maxLength: 100,
        description: 'As Mtlsd-Certificate.',
        errorMessage: 'the name of an entry, or none',
      }),
    ),
    verification: Type.Optional(
      Type.Enum(['enforce', 'report'], { description: 'As Mtlsd-Verification.', errorMessage: 'enforce or report' }),
    ),
  },
  closed,
);

const losers = shapeOf<readonly Candidate[]>(
  Type.Array(Type.Object({ name: Type.String(), why: Type.String() }, closed), {
    description: 'The others that have a bearing on it, and why they lost.',
  }),
);

export const MatchSchema = Type.Object(
  {
    authority: Type.String(),
    action: Type.Enum(['intercept', 'passthrough', 'refuse']),
    why: Type.String(),
    error: nullable(
      Type.Object(
        { code: Type.String(), message: Type.String(), hint: Type.String() },
        { ...closed, description: 'What a request would be answered with, where it would fail before any connection.' },
      ),
    ),
    certificate: Type.Object(
      {
        name: nullable(Type.String()),
        reason: Type.String(),
        usable: Type.Boolean({ description: 'False: the request fails closed.' }),
        problems: shapeOf<readonly Diagnosis[]>(Type.Array(named(DiagnosisSchema))),
        losers,
      },
      closed,
    ),
    verification: Type.Object(
      {
        mode: Type.Enum(['enforce', 'report']),
        rule: nullable(Type.String()),
        reason: Type.String(),
        override: Type.Boolean(),
        trust_anchors: Type.Integer(),
        allow: Type.Array(Type.String()),
        pins: Type.Array(Type.String()),
        min_version: Type.String(),
        max_version: Type.String(),
        server_name: nullable(Type.String()),
        losers,
      },
      closed,
    ),
  },
  { ...closed, $id: 'Match', description: 'What a request for an authority would get.' },
);
export type MatchAnswer = Static<typeof MatchSchema>;
