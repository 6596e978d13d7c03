/** What a dry run says. */
import { Type } from 'typebox';
import { DiagnosisSchema } from '../../certs/identity/identity.ts';
import { choice, type Plain } from '../../core/schema.ts';
import { Authority, closed, named, nullable, text } from './common.ts';

export const MatchQuery = Type.Object(
  {
    authority: Authority,
    profile: Type.Optional(text("As the proxy's user name.", 'the name of a profile', { maxLength: 100 })),
    certificate: Type.Optional(text('As Mtlsd-Certificate.', 'the name of an entry, or none', { maxLength: 100 })),
    verification: choice(['enforce', 'report'], 'As Mtlsd-Verification.'),
  },
  closed,
);

const losers = Type.Array(Type.Object({ name: Type.String(), why: Type.String() }, closed), {
  description: 'The others that have a bearing on it, and why they lost.',
});

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
        problems: Type.Array(named(DiagnosisSchema)),
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
export type MatchAnswer = Plain<typeof MatchSchema>;
