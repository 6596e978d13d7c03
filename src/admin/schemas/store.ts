/** The sections of the store, and what a reload says. */
import { type Static, Type } from 'typebox';
import { InterceptionSchema, RuleSchema, TrustSchema, VerificationSchema } from '../../certs/store/schema.ts';
import type { StoreProblem } from '../../certs/store/store.ts';
import { closed, named, shapeOf, text } from './common.ts';

export { InterceptionSchema, RuleSchema, TrustSchema, VerificationSchema };

/** The host and port are the address's; the rest is the rule's. */
const { host: _host, port: _port, ...ruleFields } = RuleSchema.properties;
export const RuleBody = Type.Object(
  {
    host: Type.Optional(RuleSchema.properties.host),
    port: RuleSchema.properties.port,
    ...ruleFields,
  },
  { ...closed, description: 'What differs for this host.', errorMessage: 'an object with what differs for this host' },
);
export type RuleBody = Static<typeof RuleBody>;

export type RuleParams = Static<typeof RuleParams>;
export const RuleParams = Type.Object({
  host: text('As in the rule: a name, `*.suffix`, `*` or an address.', 'a host', { maxLength: 260 }),
  port: Type.String({
    pattern: '^(\\d{1,5}|\\*)$',
    description: 'A number, or `*` for any.',
    errorMessage: 'a port from 1 to 65535, or *',
  }),
});

export const StoreProblemSchema = shapeOf<StoreProblem>(
  Type.Object(
    {
      file: Type.String(),
      line: Type.Integer(),
      column: Type.Integer(),
      message: Type.String(),
      expected: Type.String(),
    },
    { ...closed, $id: 'StoreProblem', description: 'A mistake in certificates.yaml, with its place.' },
  ),
);

export const StoreChangeSchema = Type.Object(
  {
    generation: Type.Integer({ description: 'Counts up with every change that took effect.' }),
    entries: Type.Integer(),
    usable: Type.Integer(),
    added: Type.Array(Type.String()),
    changed: Type.Array(Type.String()),
    removed: Type.Array(Type.String()),
    sections: Type.Array(Type.Enum(['trust', 'verification', 'interception'])),
  },
  { ...closed, $id: 'StoreChange', description: 'What a reload changed.' },
);

export const RejectedSchema = Type.Object(
  {
    at: Type.String({ format: 'date-time' }),
    problems: shapeOf<readonly StoreProblem[]>(Type.Array(named(StoreProblemSchema))),
  },
  { ...closed, $id: 'Rejection', description: 'Why the file as it is now is not in force.' },
);
