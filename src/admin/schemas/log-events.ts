/** Every line of the log, one shape an event. Records look in the log as they do in the API, and have one schema. */
import { type TObject, type TSchema, Type } from 'typebox';
import { CA_CHANGES } from '../../certs/local-ca/state.ts';
import { RENEWAL_FAULTS, type RenewalFaultCode } from '../../certs/renewal/fault.ts';
import { FAULT_SCOPES } from '../../core/boundary.ts';
import { ERROR_CODES } from '../../core/errors.ts';
import { LOG_EVENTS, type LogEvent } from '../../core/log.ts';
import { DiagnosisSchema } from '../../certs/identity/identity.ts';
import { FactsSchema } from '../../core/facts-schema.ts';
import { closed, idOf, nullable, type Plain, Time } from '../../core/schema.ts';
import {
  ConnectionSchema,
  ExchangeSchema,
  RecordErrorSchema,
  RevocationSchema,
  ServerProblemSchema,
} from '../../inspect/records/types.ts';

type Fields = Record<string, TSchema>;

const text = Type.String();
const count = Type.Integer({ minimum: 0 });
const names = Type.Array(text);
const code = Type.Enum(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]);

/** The fields of a record, for the line that repeats them. */
const fieldsOf = <T extends { event: TSchema }>({ properties: { event: _event, ...fields } }: TObject<T>) => fields;

const threshold = {
  name: text,
  subject: text,
  fingerprint256: text,
  days_left: Type.Integer(),
  not_after: Time,
  threshold: Type.Enum([30, 14, 7, 1, 0]),
};

const renewal = {
  name: text,
  subject: text,
  via: Type.Enum(['est', 'step', 'command']),
  fingerprint_before: text,
};

/** What each event holds besides `time`, `level` and `event`. */
export const LOG_EVENT_FIELDS = {
  'daemon.ready': {
    version: text,
    pid: count,
    proxy: names,
    admin: text,
    unix_sockets: Type.Optional(names),
    socks: Type.Optional(text),
    metrics: Type.Optional(text),
    listeners: Type.Optional(names),
    upstream_proxy: Type.Optional(names),
    home: text,
    ca_fingerprint256: text,
    certificates: count,
  },
  'daemon.stopped': { reason: text },
  'daemon.warning': { message: text, dropped: Type.Optional(count) },
  'daemon.fault': { scope: Type.Enum([...FAULT_SCOPES]), id: nullable(text), message: text, stack: nullable(text) },
  'store.loaded': {
    entries: count,
    usable: count,
    added: names,
    changed: names,
    removed: names,
    sections: Type.Array(Type.Enum(['trust', 'verification', 'interception'])),
  },
  'store.rejected': {
    problems: Type.Array(
      Type.Object({ file: text, line: count, column: count, message: text, expected: text }, closed),
      { minItems: 1 },
    ),
  },
  'store.problem': { name: text, ...DiagnosisSchema.properties },
  'tls.connected': fieldsOf(ConnectionSchema),
  'tls.failed': fieldsOf(ConnectionSchema),
  exchange: fieldsOf(ExchangeSchema),
  'certificate.expiring': threshold,
  'certificate.expired': threshold,
  'certificate.renewed': {
    ...renewal,
    fingerprint_after: text,
    not_after: Time,
    next: Time,
  },
  'certificate.renewal_failed': {
    ...renewal,
    code: Type.Enum(Object.keys(RENEWAL_FAULTS) as RenewalFaultCode[]),
    message: text,
    hint: text,
    failures: count,
    not_after: Time,
    next: Time,
  },
  'ca.changed': {
    why: Type.Enum([...CA_CHANGES]),
    subject: text,
    fingerprint256: text,
    anchors: names,
    takes_over: Type.Optional(Time),
  },
  'crl.updated': {
    url: text,
    crls: Type.Array(Type.Object({ this_update: Time, next_update: Time, entries: count }, closed)),
  },
  'crl.failed': { url: text, message: text, next: Time },
  'proxy.changed': { proxy: text, subject: nullable(text), fingerprint256: nullable(text) },
  tunnel: {
    tunnel: text,
    started: Time,
    client: text,
    authority: text,
    why: text,
    sent_bytes: count,
    received_bytes: count,
    ms: Type.Object({ total: Type.Number() }, closed),
    error: nullable(Type.Object({ code, message: text }, closed)),
  },
  admin: {
    action: text,
    who: Type.Enum(['cli', 'page', 'api']),
    client: text,
    name: Type.Optional(text),
    host: Type.Optional(text),
    port: Type.Optional(Type.Union([Type.Integer(), text])),
    fields: Type.Optional(names),
    files_removed: Type.Optional(count),
    before: Type.Optional(text),
    rule: Type.Optional(text),
    mode: Type.Optional(Type.Enum(['enforce', 'report'])),
    ok: Type.Optional(Type.Boolean()),
    exchange: Type.Optional(text),
    authority: Type.Optional(text),
    certificate: Type.Optional(nullable(text)),
    method: Type.Optional(text),
    path: Type.Optional(text),
    code: Type.Optional(text),
  },
  'proxy.refused': { exchange: text, client: text, target: text, code, message: text, hint: text },
} satisfies Readonly<Record<LogEvent, Fields>>;

export type LogFields<E extends LogEvent> = Plain<TObject<(typeof LOG_EVENT_FIELDS)[E]>>;

/** Shapes that several events share, by the names under which they refer to them. */
const SHARED = [FactsSchema, ServerProblemSchema, RevocationSchema, RecordErrorSchema, DiagnosisSchema];

/** docs/log-events.schema.json: one line of the log; `$defs` has one schema an event. */
export function logEventsJsonSchema(): string {
  const shared = SHARED.map((schema) => [idOf(schema), schema] as const);
  const events = LOG_EVENTS.map((event) => {
    const line = { time: Time, level: Type.Enum(['debug', 'info', 'warn', 'error']), event: Type.Literal(event) };
    return [event, Type.Object({ ...line, ...LOG_EVENT_FIELDS[event] }, closed)] as const;
  });
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: "A line of mtlsd's log",
    oneOf: LOG_EVENTS.map((event) => ({ $ref: `#/$defs/${event}` })),
    $defs: Object.fromEntries([...events, ...shared]),
  };
  return `${JSON.stringify(schema, withinOneFile, 2)}\n`;
}

/** Names become places in the same file; `~`-properties are TypeBox's own. */
function withinOneFile(key: string, value: unknown): unknown {
  if (key === '$id') return undefined;
  if (key === '$ref' && typeof value === 'string') return value.replace(/^(\w+)#$/, '#/$defs/$1');
  return value;
}
