/**
 * Next steps as the API says them. Errors and problems are written once, with the commands of the command line in them; the
 * API answers everybody else with its routes and fields in their place. What is left of a command is for a person alone,
 * such as `mtlsd ui`.
 */

/** `HOST`, `HOST:PORT`, `[::1]:8443`, `*.SUFFIX:*` */
const PLACE = String.raw`(\S+?)`;
const END = String.raw`(?=[;,)]? |[;,)]?$)`;

// biome-ignore format: a table reads best as a table
const ROUTES: readonly (readonly [command: RegExp, route: (...words: string[]) => string])[] = [
  [rule(`mtlsd probe https://${PLACE}/ --save-ca \\S+ && mtlsd trust add \\S+ --host [^\\s;,]+`), (place) => `POST /api/v1/trust/anchors with authority ${quoted(place)}, the fingerprint256 that POST /api/v1/probe shows, and host ${quoted(hostOf(place))}${portOf(place)}`],
  [rule(`mtlsd trust add \\S+ --host ${PLACE}`), (place) => `POST /api/v1/trust/anchors with cert_pem and host ${quoted(hostOf(place))}${portOf(place)}`],
  [rule('mtlsd trust add \\S+'), () => 'POST /api/v1/trust/anchors with cert_pem'],
  [rule('mtlsd trust list'), () => 'GET /api/v1/trust/anchors'],
  [rule(`mtlsd verification set --host ${PLACE} --allow ([A-Z0-9_]+(?: [A-Z0-9_]+)*)`), (place, codes = '') => `PUT ${rulePath(place)} with allow: [${codes.split(' ').join(', ')}] added to the rule`],
  [rule(`mtlsd verification set --host ${PLACE} --server-name (\\S+)`), (place, name = '') => `PUT ${rulePath(place)} with server_name: ${name} added to the rule`],
  [rule(`mtlsd verification set --host ${PLACE} --pin (\\S+)`), (place, pin = '') => `PUT ${rulePath(place)} with ${pin} in pins`],
  [rule(`mtlsd verification set --host ${PLACE} --min-version (\\S+)`), (place, version = '') => `PUT ${rulePath(place)} with min_version: ${version} added to the rule`],
  [rule(`mtlsd verification set report --host ${PLACE}`), (place) => `PUT ${rulePath(place)} with mode: report added to the rule`],
  [rule('mtlsd verification show'), () => 'GET /api/v1/verification'],
  [rule(`mtlsd probe https://${PLACE}/`), (place) => `POST /api/v1/probe with authority ${quoted(place)}`],
  [rule('mtlsd probe URL'), () => 'POST /api/v1/probe'],
  [rule(`mtlsd match https://${PLACE}/`), (place = '') => `GET /api/v1/match?authority=${encodeURIComponent(place)}`],
  [rule('mtlsd match URL'), () => 'GET /api/v1/match'],
  [rule('mtlsd cert add HOST --cert \\S+ --key FILE'), () => 'POST /api/v1/certificates'],
  [rule(`mtlsd cert add ${PLACE} --cert FILE --key FILE`), (place) => `POST /api/v1/certificates with host ${quoted(hostOf(place))}${portOf(place)}`],
  [rule('mtlsd cert add HOST --pfx \\S+'), () => 'POST /api/v1/certificates with pfx_base64'],
  [rule('mtlsd cert show (\\S+)'), (name = '') => `GET ${entryPath(name)}`],
  [rule('mtlsd cert enable (\\S+)'), (name = '') => `PATCH ${entryPath(name)} with enabled: true`],
  [rule('mtlsd cert set ([A-Za-z0-9][\\w.-]*)(?: --\\S+ FILE)*'), (name = '') => `PATCH ${entryPath(name)}`],
  [rule('mtlsd cert renew (\\S+) --dry-run'), (name = '') => `POST ${entryPath(name)}/renew?dry_run=true`],
  [rule('mtlsd cert renew (\\S+)'), (name = '') => `POST ${entryPath(name)}/renew`],
  [rule('mtlsd cert list'), () => 'GET /api/v1/certificates'],
  [rule('mtlsd ca rotate --finish'), () => 'POST /api/v1/ca/rotation/finish'],
  [rule('mtlsd ca rotate --cancel'), () => 'DELETE /api/v1/ca/rotation'],
  [rule('mtlsd ca rotate'), () => 'POST /api/v1/ca/rotation'],
  [rule('mtlsd status'), () => 'GET /api/v1/status'],
  [rule('mtlsd env, or mtlsd ca path'), () => 'GET /ca.pem has its certificate'],
  [rule('mtlsd env'), () => 'GET /ca.pem has its certificate'],
  [rule('mtlsd tail'), () => 'GET /api/v1/events'],
];

function rule(command: string): RegExp {
  return new RegExp(command + END, 'g');
}

const bare = (place = ''): string => place.replace(/:(\d+|\*)$/, '');
const hostOf = (place = ''): string => bare(place).replace(/^\[|\]$/g, '');
const quoted = (text = ''): string => JSON.stringify(text);
const entryPath = (name: string): string => `/api/v1/certificates/${name === 'NAME' ? name : encodeURIComponent(name)}`;

function portOf(place = ''): string {
  const port = /:(\d+|\*)$/.exec(place)?.[1];
  return port === undefined ? '' : ` and port ${port === '*' ? '"*"' : port}`;
}

function rulePath(place = ''): string {
  return `/api/v1/verification/rules/${encodeURIComponent(hostOf(place))}/${/:(\d+|\*)$/.exec(place)?.[1] ?? 443}`;
}

export function apiHint(hint: string): string {
  if (!hint.includes('mtlsd ')) return hint;
  return ROUTES.reduce(
    (text, [command, route]) => text.replace(command, (_all, ...words: string[]) => route(...words)),
    hint,
  );
}

/** The same data with every `hint` in the API's words; the same object where no hint changes. */
export function withApiHints<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => withApiHints(item));
    return items.some((item, index) => item !== value[index]) ? (items as T) : value;
  }
  let changed: Record<string, unknown> | null = null;
  for (const [key, before] of Object.entries(value)) {
    const after: unknown = key === 'hint' && typeof before === 'string' ? apiHint(before) : withApiHints(before);
    if (after !== before) {
      changed ??= { ...value } as Record<string, unknown>;
      changed[key] = after;
    }
  }
  return (changed ?? value) as T;
}
