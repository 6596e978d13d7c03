/** A valid file -> canonical hosts, unique names and defaults, or the mistakes that the schema can't express. */
import { hash } from 'node:crypto';
import { canonicalHost, canonicalOrigin, tellable } from '../../core/authority.ts';
import { canonicalPattern, type HostPort, parsePassthrough } from '../../core/hosts.ts';
import { nearestOf } from '../../core/nearest.ts';
import { ALLOWABLE_CODES } from '../../core/problem-codes.ts';
import type { Mistake, Path } from '../../core/validate.ts';
import type { FileProblem, Place, Yaml } from '../../core/yaml/read.ts';
import { caUrl, type RenewalVia } from '../renewal/plan.ts';
import type {
  CertificateFields,
  CrossSite,
  MaterialFields,
  PassphraseFields,
  RenewFields,
  RuleFields,
  StoreFile,
  StoreSections,
  TrustFields,
} from './schema.ts';

/** Where a passphrase comes from; `text` is the secret itself and is wrapped as soon as it is used. */
type ParsedPassphrase =
  | { readonly text: string }
  | { readonly env: string }
  | { readonly file: string }
  | { readonly command: readonly string[] };

export interface ParsedEntry extends Place, HostPort {
  readonly name: string;
  readonly enabled: boolean;
  readonly profile: string | null;
  readonly withholdUnverified: boolean;
  readonly crossSite: CrossSite;
  /** As written. */
  readonly cert: MaterialFields | null;
  readonly key: MaterialFields | null;
  readonly pfx: MaterialFields | null;
  readonly alias: string | null;
  readonly passphrase: ParsedPassphrase | null;
  /** As written. */
  readonly renew: RenewFields | null;
  readonly renewal: ParsedRenewal | null;
  /** Differs whenever a field does. A hash, since it covers the passphrase. */
  readonly signature: string;
}

export interface ParsedRenewal {
  readonly via: RenewalVia;
  readonly after: number;
  readonly rekey: boolean;
  /** null for the store's. */
  readonly trust: ParsedTrust | null;
}

export type RevocationSetting = 'off' | 'when-known' | 'required';

export interface ParsedTrust {
  readonly system: boolean;
  readonly ca: readonly (Place & { readonly path: string })[];
  /** Paths and http URLs. */
  readonly crl: readonly (Place & { readonly path: string })[];
}

export interface ParsedRule extends Place, HostPort {
  readonly mode: 'enforce' | 'report' | null;
  readonly revocation: RevocationSetting | null;
  readonly trust: ParsedTrust | null;
  /** Problem codes let through in enforce. */
  readonly allow: readonly string[];
  /** base64 SHA-256 of SPKIs, without the `sha256/` in front; empty for none. */
  readonly pins: readonly string[];
  readonly minVersion: NonNullable<RuleFields['min_version']>;
  readonly maxVersion: NonNullable<RuleFields['max_version']>;
  /** Sent as SNI and verified in place of the authority's host. */
  readonly serverName: string | null;
}

export interface ParsedSections {
  /** As written, with defaults. */
  readonly written: StoreSections;
  readonly trust: ParsedTrust;
  readonly mode: 'enforce' | 'report';
  readonly revocation: RevocationSetting;
  readonly rules: readonly ParsedRule[];
  readonly interception: {
    readonly mode: 'all' | 'listed';
    readonly unmatched: 'intercept' | 'passthrough' | 'refuse';
    readonly passthrough: readonly HostPort[];
  };
}

export interface ParsedStore extends ParsedSections {
  readonly entries: readonly ParsedEntry[];
}

export type ParseOutcome =
  | { readonly ok: true; readonly store: ParsedStore }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

export const SECTION_DEFAULTS: StoreSections = {
  trust: { system: true, ca: [], crl: [] },
  verification: { mode: 'enforce', revocation: 'when-known', rules: [] },
  interception: { mode: 'all', passthrough: [], unmatched: 'intercept' },
};

const aHost = 'an exact name, "*.suffix", "*" or an IP address';

/** @param file the value of `yaml`, which fits the schema */
export function compileStore(file: StoreFile, yaml: Yaml): ParseOutcome {
  const mistakes: Mistake[] = [];
  const { certificates = [], trust, verification = {}, interception = {} } = file;

  const note = (path: Path, message: string, expected: string): void => {
    mistakes.push({ path, atKey: false, message, expected });
  };
  /** The canonical form, or a mistake. */
  const canonical = <T>(text: string, path: Path, form: (text: string) => T | null, expected: string): T => {
    const value = form(text);
    if (value === null) note(path, `${JSON.stringify(text)} is not a host`, expected);
    return value as T;
  };

  const names = namesOf(certificates, yaml, note);
  const entries = certificates.map((fields, index): ParsedEntry => {
    const path = ['certificates', index];
    const written = {
      host: canonical(fields.host, [...path, 'host'], canonicalPattern, aHost),
      port: fields.port ?? 443,
      enabled: fields.enabled ?? true,
      profile: fields.profile ?? null,
      withholdUnverified: fields.withhold_unverified ?? false,
      crossSite: crossSiteOf(fields, path, note),
      cert: fields.cert ?? null,
      key: fields.key ?? null,
      pfx: fields.pfx ?? null,
      alias: fields.alias ?? null,
      passphrase: passphraseOf(fields.passphrase),
      renew: fields.renew ?? null,
    };
    const renewal = fields.renew ? renewalOf(fields.renew, fields, [...path, 'renew']) : null;
    const name = fields.name ?? names.free(nameFor(written));
    const signature = hash('sha256', JSON.stringify({ name, ...written }));
    return { ...written, name, renewal, signature, ...yaml.placeOf(path) };
  });

  function renewalOf(renew: RenewFields, entry: CertificateFields, path: Path): ParsedRenewal {
    for (const field of ['cert', 'key', 'pfx'] as const)
      if (typeof entry[field] === 'object')
        note(path, `${field} is no file, and renew replaces files`, 'no renew; a command has refresh: 15m');
    const { est, step, command = [], trust, after = '2/3', rekey } = renew;
    const url = est ?? step;
    const kind = est === undefined ? 'step' : 'est';
    if (url === undefined)
      for (const field of ['trust', 'rekey'] as const)
        if (field in renew) note([...path, field], `${field} goes with est or step`, 'command alone');
    // Without the URL itself, which may hold a password.
    if (url !== undefined && caUrl(kind, url) === null)
      note(
        [...path, kind],
        'the URL of a CA has more than an address in it',
        'https://HOST[:PORT][/PATH] and nothing else',
      );
    const [parts = 0, of = 1] = typeof after === 'string' ? after.split('/').map(Number) : [after];
    const share = parts / of;
    if (!(share >= 0.05 && share <= 0.95))
      note([...path, 'after'], `after is ${after}`, 'a share between 0.05 and 0.95, such as 2/3 or 0.5');
    return {
      via: url === undefined ? { kind: 'command', command } : { kind, url },
      after: share,
      rekey: rekey ?? true,
      trust: trust ? trustOf({ system: false, ca: trust }, path, 'trust') : null,
    };
  }

  /** @param list the name of the list of paths */
  function trustOf(fields: TrustFields | undefined, path: Path, list = 'ca'): ParsedTrust {
    const crl = (fields?.crl ?? []).map((text, i) => {
      const at = [...path, 'crl', i];
      // Only http: a CRL is signed, and https would need the revocation state of another certificate first.
      if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !isCrlAddress(text))
        note(
          at,
          `${JSON.stringify(tellable(text))} is no address of a CRL`,
          'http://HOST[:PORT]/PATH, or the path of a file',
        );
      return { path: text, ...yaml.placeOf(at) };
    });
    return {
      system: fields?.system ?? true,
      ca: (fields?.ca ?? []).map((text, i) => ({ path: text, ...yaml.placeOf([...path, list, i]) })),
      crl,
    };
  }
  const ruleOf = (rule: RuleFields, path: Path): ParsedRule => {
    if (rule.min_version === 'TLSv1.3' && rule.max_version === 'TLSv1.2')
      note([...path, 'min_version'], 'min_version is above max_version', 'a version up to TLSv1.2');
    for (const [i, code] of (rule.allow ?? []).entries())
      if (!ALLOWABLE_CODES.has(code))
        note([...path, 'allow', i], `${code} is not a problem code that can be allowed`, expectedCode(code));
    return {
      ...yaml.placeOf(path),
      host: canonical(rule.host, [...path, 'host'], canonicalPattern, aHost),
      port: rule.port ?? 443,
      mode: rule.mode ?? null,
      revocation: rule.revocation ?? null,
      trust: rule.trust ? trustOf(rule.trust, [...path, 'trust']) : null,
      allow: rule.allow ?? [],
      pins: (rule.pins ?? []).map((pin) => pin.slice('sha256/'.length)),
      minVersion: rule.min_version ?? 'TLSv1.2',
      maxVersion: rule.max_version ?? 'TLSv1.3',
      serverName:
        rule.server_name === undefined
          ? null
          : canonical(rule.server_name, [...path, 'server_name'], canonicalHost, 'a host name'),
    };
  };
  const written: StoreSections = {
    trust: { ...SECTION_DEFAULTS.trust, ...trust },
    verification: { ...SECTION_DEFAULTS.verification, ...verification },
    interception: { ...SECTION_DEFAULTS.interception, ...interception },
  };
  const store: ParsedStore = {
    entries,
    written,
    trust: trustOf(trust, ['trust']),
    mode: written.verification.mode,
    revocation: written.verification.revocation,
    rules: written.verification.rules.map((rule, i) => ruleOf(rule, ['verification', 'rules', i])),
    interception: {
      ...written.interception,
      passthrough: written.interception.passthrough.map((text, i) =>
        canonical(
          text,
          ['interception', 'passthrough', i],
          parsePassthrough,
          'a host, "*.suffix" or address, with ":port" where only one port is meant',
        ),
      ),
    },
  };
  return mistakes.length > 0 ? { ok: false, problems: yaml.problemsOf(mistakes) } : { ok: true, store };
}

/** Only an address: a user or a password in it would reach the log. */
function isCrlAddress(text: string): boolean {
  const url = text.startsWith('http://') ? URL.parse(text) : null;
  return url !== null && url.username === '' && url.password === '' && url.hash === '';
}

type Note = (path: Path, message: string, expected: string) => void;

/** Names as written come before those made from hosts, wherever they are in the file. */
function namesOf(certificates: readonly CertificateFields[], yaml: Yaml, note: Note) {
  const lines = new Map<string, number>();
  for (const [index, { name }] of certificates.entries()) {
    if (name === undefined) continue;
    const path = ['certificates', index, 'name'];
    const first = lines.get(name);
    if (first === undefined) lines.set(name, yaml.placeOf(path).line);
    else note(path, `the name ${name} is taken by the entry on line ${first}`, 'a name of its own');
  }
  const taken = new Set(lines.keys());
  return {
    free(wanted: string): string {
      const name = freeName(wanted, taken);
      taken.add(name);
      return name;
    },
  };
}

/** Host and port of a rule or an entry as written, in canonical form. */
export function placeOf({ host, port = 443 }: { readonly host: string; readonly port?: number | '*' }): HostPort {
  return { host: canonicalPattern(host) ?? host, port };
}

/** The name itself, or with the first counter that is free. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let n = 2; taken.has(name); n++) name = `${wanted}-${n}`;
  return name;
}

/** The name of an entry without one: `api.partner.example`, `wildcard.corp.example-8443`, `any-host-any-port`. */
export function nameFor({ host, port }: HostPort): string {
  // null where the host is a mistake, which is reported as such.
  const base = host === '*' ? 'any-host' : (host ?? '').replace(/^\*\./, 'wildcard.').replaceAll(':', '-');
  const suffix = port === 443 ? '' : port === '*' ? '-any-port' : `-${port}`;
  // Names have at most 100 characters and start with a letter or digit; 80 leave room for a counter.
  return base.replace(/^[^A-Za-z0-9]+/, 'h').slice(0, 80) + suffix;
}

function crossSiteOf({ cross_site: value = 'withhold' }: CertificateFields, path: Path, note: Note): CrossSite {
  if (typeof value === 'string') return value;
  for (const [i, text] of value.entries()) {
    const origin = canonicalOrigin(text);
    const message = `${JSON.stringify(text)} is not an origin as browsers send it`;
    if (origin !== text) note([...path, 'cross_site', i], message, origin ?? 'scheme://host[:port]');
  }
  return value;
}

function expectedCode(code: string): string {
  const nearest = nearestOf(code, ALLOWABLE_CODES);
  return nearest === null ? 'a problem code of docs/problems.md' : nearest;
}

function passphraseOf(fields: PassphraseFields | undefined): ParsedPassphrase | null {
  if (fields === undefined) return null;
  return typeof fields === 'string' ? { text: fields } : fields;
}
