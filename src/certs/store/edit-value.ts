/** An edit, applied to the plain data of the store. The edited text must mean the same. */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../../core/errors.ts';
import type { Path } from '../../core/validate.ts';
import { type ParsedStore, placeOf, SECTION_DEFAULTS } from './compile.ts';
import {
  type CertificateFields,
  CertificateSchema,
  type InterceptionFields,
  type RuleFields,
  type StoreFile,
  type StoreSections,
  type TrustFields,
  type VerificationFields,
} from './schema.ts';

/** Why certificates.yaml was not changed; the file is then as it was. */
export type EditErrorCode =
  /** The file changed in between. */
  | 'CONFLICT'
  | 'NOT_FOUND'
  | 'NAME_TAKEN'
  /** The edited store would not validate; `details` say why. */
  | 'INVALID'
  /** The file has a mistake already, made manually. */
  | 'BROKEN_FILE'
  /** Anchors or a form of YAML in which a program can't make the change alone. */
  | 'BY_HAND'
  | 'LOCKED'
  | 'NOT_WRITABLE'
  /** To parse it takes too much time or memory. */
  | 'TOO_COSTLY';

export function editError(
  code: EditErrorCode,
  message: string,
  hint: string,
  details: readonly string[] = [],
): CodedError<EditErrorCode> {
  return new CodedError(code, message, hint, { details });
}

/** Fields to set; null takes one out. */
export type CertificateChanges = { readonly [K in keyof CertificateFields]?: CertificateFields[K] | null };

export type StoreEdit =
  | { readonly do: 'add-certificate'; readonly certificate: CertificateFields }
  | { readonly do: 'replace-certificate'; readonly name: string; readonly certificate: CertificateFields }
  | { readonly do: 'edit-certificate'; readonly name: string; readonly set: CertificateChanges }
  | { readonly do: 'remove-certificate'; readonly name: string }
  | { readonly do: 'set-mode'; readonly mode: 'enforce' | 'report' }
  | { readonly do: 'put-rule'; readonly rule: RuleFields }
  | { readonly do: 'remove-rule'; readonly host: string; readonly port: number | '*' }
  | { readonly do: 'set-verification'; readonly verification: VerificationFields }
  | { readonly do: 'set-trust'; readonly trust: TrustFields }
  | { readonly do: 'set-interception'; readonly interception: InterceptionFields };

/** One change of the plain data. `insert` adds to the end of a list. */
export type Change =
  | { readonly op: 'set'; readonly path: Path; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: Path }
  | { readonly op: 'insert'; readonly path: Path; readonly value: unknown };

/** @throws CodedError NOT_FOUND, NAME_TAKEN */
export function changesOf(edit: StoreEdit, store: ParsedStore, file: StoreFile): Change[] {
  switch (edit.do) {
    case 'add-certificate':
      refuseTaken(edit.certificate.name, store, null);
      return [{ op: 'insert', path: ['certificates'], value: inOrder(edit.certificate) }];
    case 'replace-certificate': {
      const index = indexOf(edit.name, store);
      const certificate = inOrder({ ...edit.certificate, name: edit.certificate.name ?? edit.name });
      refuseTaken(certificate.name, store, index);
      return [{ op: 'set', path: ['certificates', index], value: certificate }];
    }
    case 'edit-certificate':
      return fieldChanges(edit, store, file);
    case 'remove-certificate':
      return [{ op: 'remove', path: ['certificates', indexOf(edit.name, store)] }];
    case 'set-mode':
      return [{ op: 'set', path: ['verification', 'mode'], value: edit.mode }];
    case 'put-rule': {
      const index = ruleIndex(edit.rule.host, edit.rule.port ?? 443, store);
      const path = ['verification', 'rules'];
      return [
        index === -1
          ? { op: 'insert', path, value: edit.rule }
          : { op: 'set', path: [...path, index], value: edit.rule },
      ];
    }
    case 'remove-rule': {
      const index = ruleIndex(edit.host, edit.port, store);
      if (index === -1)
        throw editError(
          'NOT_FOUND',
          `there is no rule for ${edit.host}:${edit.port}`,
          'mtlsd verification show lists the rules',
        );
      return [{ op: 'remove', path: ['verification', 'rules', index] }];
    }
    case 'set-verification':
      return sectionChanges('verification', edit.verification, file);
    case 'set-trust':
      return sectionChanges('trust', edit.trust, file);
    case 'set-interception':
    default:
      return sectionChanges('interception', edit.interception, file);
  }
}

/** Without the defaults that the file leaves out. */
function sectionChanges(name: keyof StoreSections, section: object, file: StoreFile): Change[] {
  const old: object = file[name] ?? {};
  const defaults = new Map<string, unknown>(Object.entries(SECTION_DEFAULTS[name]));
  const fields = Object.entries(section).filter(
    ([key, value]) => key in old || !isDeepStrictEqual(value, defaults.get(key)),
  );
  if (fields.length === 0 && file[name] === undefined) return [];
  return [{ op: 'set', path: [name], value: Object.fromEntries(fields) }];
}

/** In the order of the schema, not of the request. */
function inOrder(fields: CertificateFields): CertificateFields {
  const order = Object.keys(CertificateSchema.properties);
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))) as CertificateFields;
}

function fieldChanges(
  edit: Extract<StoreEdit, { do: 'edit-certificate' }>,
  store: ParsedStore,
  file: StoreFile,
): Change[] {
  const index = indexOf(edit.name, store);
  const old: Readonly<Record<string, unknown>> = file.certificates?.[index] ?? {};
  const set: Record<string, unknown> = { ...edit.set };
  // A name that is made from the host would change with it.
  if (old['name'] === undefined && set['name'] === undefined && ('host' in set || 'port' in set))
    set['name'] = edit.name;
  if (typeof set['name'] === 'string') refuseTaken(set['name'], store, index);
  const path = ['certificates', index];
  return Object.entries(set).flatMap(([key, value]): Change[] => {
    if (value === undefined) return [];
    if (value !== null) return [{ op: 'set', path: [...path, key], value }];
    return key in old ? [{ op: 'remove', path: [...path, key] }] : [];
  });
}

function indexOf(name: string, store: ParsedStore): number {
  const index = store.entries.findIndex((entry) => entry.name === name);
  if (index === -1)
    throw editError('NOT_FOUND', `no certificate is named ${JSON.stringify(name)}`, 'mtlsd cert list shows the names');
  return index;
}

function refuseTaken(name: string | undefined, store: ParsedStore, own: number | null): void {
  const index = name === undefined ? -1 : store.entries.findIndex((entry) => entry.name === name);
  if (index === -1 || index === own) return;
  throw editError(
    'NAME_TAKEN',
    `the name ${name} is taken by the entry on line ${store.entries[index]?.line}`,
    'choose another name, or change that entry',
  );
}

function ruleIndex(host: string, port: number | '*', store: ParsedStore): number {
  const place = placeOf({ host, port });
  // The last of several is the one in force.
  return store.rules.findLastIndex((rule) => rule.host === place.host && rule.port === port);
}

/** The data after a change. */
export function applyChange(root: unknown, change: Change): unknown {
  // A structured clone keeps shared what YAML shares by alias; JSON does not.
  const copy = JSON.parse(JSON.stringify(root)) as Record<string | number, unknown>;
  if (change.op === 'insert') {
    const list = containerAt(copy, change.path, []) as unknown[];
    list.push(change.value);
    return copy;
  }
  const last = change.path.at(-1) ?? '';
  const parent = containerAt(copy, change.path.slice(0, -1), {}) as Record<string | number, unknown>;
  if (change.op === 'set') parent[last] = change.value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

/** The smaller changes that a change consists of. Their paths are those before any of them is made. */
export function withinChange(change: Change, old: unknown): Change[] {
  if (change.op !== 'set') return [change];
  const { path, value } = change;
  if (isDeepStrictEqual(old, value)) return [];
  if (isMapping(old) && isMapping(value)) {
    const kept = Object.entries(value).filter(([, field]) => field !== undefined);
    const gone = Object.keys(old).filter((key) => value[key] === undefined);
    // A mapping has no block form without a key.
    if (kept.length === 0) return [change];
    return [
      ...kept.flatMap(([key, field]) => withinChange({ op: 'set', path: [...path, key], value: field }, old[key])),
      ...gone.map((key): Change => ({ op: 'remove', path: [...path, key] })),
    ];
  }
  return Array.isArray(old) && Array.isArray(value) ? (withinList(path, old, value) ?? [change]) : [change];
}

/** @returns null where an item is new before one that stays, or none stays */
function withinList(path: Path, old: readonly unknown[], wanted: readonly unknown[]): Change[] | null {
  const changes: Change[] = [];
  let next = 0;
  for (const [i, item] of old.entries()) {
    if (next < wanted.length && isSame(item, wanted[next])) {
      changes.push(...withinChange({ op: 'set', path: [...path, i], value: wanted[next] }, item));
      next++;
    } else changes.push({ op: 'remove', path: [...path, i] });
  }
  if (next === 0) return null;
  return [...changes, ...wanted.slice(next).map((value): Change => ({ op: 'insert', path, value }))];
}

/** Whether two items of a list are about the same thing: rules by their host and port. */
function isSame(a: unknown, b: unknown): boolean {
  if (!isMapping(a) || !isMapping(b)) return isDeepStrictEqual(a, b);
  return a.host === b.host && (a.port ?? 443) === (b.port ?? 443);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The container at a path, made where it is missing. */
function containerAt(root: Record<string | number, unknown>, path: Path, leaf: unknown): unknown {
  let at: Record<string | number, unknown> = root;
  for (const [i, part] of path.entries()) {
    at[part] ??= i === path.length - 1 ? leaf : {};
    at = at[part] as Record<string | number, unknown>;
  }
  return at;
}
