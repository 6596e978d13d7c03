/** What a probe is asked and what it says. */
import { type Static, Type } from 'typebox';
import type { ProbeResult } from '../../inspect/probe/result.ts';
import { FactsSchema } from './certificate.ts';
import { Authority, closed, named, nullable, shapeOf, Time } from './common.ts';
import { RevocationSchema, ServerProblemSchema } from './records.ts';

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
    ciphers: Type.Optional(
      Type.Boolean({
        description: 'Also find every cipher on offer; true when left out.',
        errorMessage: 'true or false',
      }),
    ),
  },
  { ...closed, errorMessage: 'an object with authority' },
);
export type ProbeBody = Static<typeof ProbeBody>;

const version = Type.Enum(['TLSv1.3', 'TLSv1.2', 'TLSv1.1', 'TLSv1']);
const Text = nullable(Type.String());
const Truth = nullable(Type.Boolean());

export const ProbeSchema = shapeOf<ProbeAnswer>(
  Type.Object(
    {
      certificate: Type.Object(
        {
          name: nullable(Type.String({ description: 'The entry presented; null for none.' })),
          reason: Type.String(),
          usable: Type.Boolean(),
        },
        closed,
      ),
      authority: Type.String(),
      time: Time,
      address: nullable(Type.Object({ ip: Type.String(), port: Type.Integer(), family: Type.Enum([4, 6]) }, closed)),
      via: nullable(Type.String({ description: 'The proxy upstream; `address` is then null, as it alone knows it.' })),
      server_name: Text,
      attempts: Type.Array(
        Type.Object(
          {
            version,
            certificate: Type.Enum(['none', 'ours']),
            outcome: Type.String(),
            requested: Truth,
            sent: Truth,
            cipher: Text,
            alpn: Text,
            alert: nullable(
              Type.Object(
                { number: Type.Integer(), name: Type.String(), meaning: Type.String(), hint: Type.String() },
                closed,
              ),
            ),
            error: Text,
            ms: Type.Number(),
          },
          closed,
        ),
      ),
      versions: Type.Array(Type.Object({ version, offered: Type.Boolean() }, closed)),
      ciphers: Type.Array(Type.Object({ version, suites: Type.Array(Type.String()) }, closed)),
      alpn: Type.Array(Type.String()),
      server: Type.Object(
        {
          chain: Type.Array(named(FactsSchema)),
          sent: Type.Array(named(FactsSchema), { description: 'Exactly what the server sent, in its order.' }),
          pem: Type.Array(Type.String(), { description: 'The same, as PEM.' }),
        },
        closed,
      ),
      verification: Type.Object(
        {
          complete: Type.Boolean(),
          mode: Type.Enum(['enforce', 'report']),
          authorized: Type.Boolean({ description: 'True only where no problem was found.' }),
          allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule lets through.' }),
          problems: Type.Array(named(ServerProblemSchema)),
          revocation: nullable(named(RevocationSchema)),
        },
        closed,
      ),
      client_certificate: Type.Object(
        {
          requested: Truth,
          required: Truth,
          ca_names: Type.Array(Type.String()),
          signature_algorithms: Type.Array(Type.String()),
          certificate_types: Type.Array(Type.String()),
          issuer_named: Truth,
          issuer: Text,
          ours: Text,
        },
        closed,
      ),
      error: Text,
    },
    { ...closed, $id: 'Probe', description: 'A server looked at closely.' },
  ),
);

export type ProbeAnswer = ProbeResult & {
  readonly certificate: { readonly name: string | null; readonly reason: string; readonly usable: boolean };
  readonly via: string | null;
};
