/** Lists of exchanges and their header fields. */
import { type Static, Type } from 'typebox';
import { closed, flag, named, nullable, text } from '../../core/schema.ts';
import type { FieldPolicy } from '../../inspect/records/fields.ts';
import { ExchangeSchema } from '../../inspect/records/types.ts';

export const HeadSchema = Type.Object(
  {
    fields: Type.Array(Type.Object({ name: Type.String(), value: Type.String() }, closed), {
      description: 'In the order of the wire.',
    }),
    bytes: nullable(Type.Integer({ description: 'Of the whole head; null where that is not known, as in HTTP/2.' })),
    omitted: Type.Integer({ description: 'Fields that are not here, because a head has more than 16 KiB.' }),
  },
  { ...closed, $id: 'Head', description: 'Header fields of a request or a response.' },
);

export const ExchangeFieldsSchema = Type.Object(
  {
    kept: Type.Enum(['none', 'redacted', 'all'] as const satisfies readonly FieldPolicy[], {
      description: '`records.fields` of the settings.',
    }),
    request: nullable(named(HeadSchema)),
    response: nullable(named(HeadSchema)),
  },
  { ...closed, $id: 'ExchangeFields', description: 'Header fields of one request and its response.' },
);
export type ExchangeFields = Static<typeof ExchangeFieldsSchema>;

/** Filters of every list of exchanges. */
export const ExchangeFilter = {
  host: Type.Optional(text("The authority's host, with or without its port.", 'a host', { maxLength: 300 })),
  failed: flag('Only those with an error or a status of 500 and above; false: only the others.'),
  certificate: Type.Optional(text('Name of the entry that was chosen.', 'the name of an entry', { maxLength: 100 })),
};

export const ExchangeList = Type.Object(
  {
    exchanges: Type.Array(named(ExchangeSchema), { description: 'Newest first.' }),
    next: nullable(Type.String({ description: 'Pass it as `before` for older ones; null where there are none.' })),
  },
  { ...closed, $id: 'ExchangeList' },
);
