/** Fields of a valid file -> parsed store: canonical hosts, unique names, defaults; and what the schema can't say. */
import { hash } from 'node:crypto';
import { canonicalHost, canonicalOrigin } from '../../core/authority.ts';
import { canonicalPattern, nameFor, parsePassthrough } from './hosts.ts';
import type { ParsedEntry, ParsedPassphrase, ParsedRule, ParsedSections, ParsedTrust, Place } from './parsed.ts';
import type {
  CertificateFields,
  CrossSiteFields,
  PassphraseFields,
  RuleFields,
  StoreFile,
  TrustFields,
} from './schema.ts';
import type { CrossSite } from './snapshot.ts';
import type { Mistake } from '../../core/validate.ts';

type Path = readonly (string | number)[];
/** Where the value at a path is. */
export type PlaceOf = (path: Path) => Place;

/** Compiles values one at a time and notes their mistakes. All names are to be reserved before the first entry is compiled. */
export class FileCompiler {
  readonly mistakes: Mistake[] = [];
  readonly #placeOf: PlaceOf;
  readonly #lineOfName = new Map<string, number>();
  readonly #taken = new Set<string>();

  constructor(placeOf: PlaceOf) {
    this.#placeOf = placeOf;
  }

  /** Names as written come before those made from hosts, wherever they are in the file. */
  reserveName({ name }: CertificateFields, index: number): void {
    if (name === undefined) return;
    const path = ['certificates', index, 'name'];
    const first = this.#lineOfName.get(name);
    if (first !== undefined) {
      this.#mistake(path, `the name ${name} is taken by the entry on line ${first}`, 'a name of its own');
      return;
    }
    this.#lineOfName.set(name, this.#placeOf(path).line);
    this.#taken.add(name);
  }

  /** @param before the entry that was in this place: used again where nothing of it changed, so that a reload leaves little to collect */
  entry(fields: CertificateFields, index: number, before?: ParsedEntry): ParsedEntry {
    const host = this.#host(fields.host, ['certificates', index, 'host']);
    const port = fields.port ?? 443;
    const written = {
      host,
      port,
      enabled: fields.enabled ?? true,
      profile: fields.profile ?? null,
      withholdUnverified: fields.withhold_unverified ?? false,
      crossSite: this.#crossSite(fields.cross_site, ['certificates', index, 'cross_site']),
      cert: fields.cert ?? null,
      key: fields.key ?? null,
      pfx: fields.pfx ?? null,
      alias: fields.alias ?? null,
      passphrase: passphraseOf(fields.passphrase),
    };
    const name = fields.name ?? this.#freeName(nameFor({ host, port }));
    const signature = hash('sha256', JSON.stringify([fields.name ?? null, written]), 'base64url');
    const { line, column } = this.#placeOf(['certificates', index]);
    const same =
      before?.signature === signature && before.name === name && before.line === line && before.column === column;
    return same ? before : { name, ...written, line, column, signature };
  }

  sections({ trust, verification = {}, interception = {} }: StoreFile): ParsedSections {
    return {
      written: {
        trust: { system: true, ca: [], ...trust },
        verification: { mode: 'enforce', rules: [], ...verification },
        interception: { mode: 'all', passthrough: [], unmatched: 'intercept', ...interception },
      },
      trust: this.#trust(trust, ['trust']),
      mode: verification.mode ?? 'enforce',
      rules: (verification.rules ?? []).map((rule, i) => this.#rule(rule, ['verification', 'rules', i])),
      interception: {
        mode: interception.mode ?? 'all',
        unmatched: interception.unmatched ?? 'intercept',
        passthrough: (interception.passthrough ?? []).map((text, i) =>
          this.#passthrough(text, ['interception', 'passthrough', i]),
        ),
      },
    };
  }

  #crossSite(value: CrossSiteFields = 'withhold', path: Path): CrossSite {
    if (typeof value === 'string') return value;
    for (const [i, text] of value.entries()) {
      const origin = canonicalOrigin(text);
      if (origin !== text)
        this.#mistake(
          [...path, i],
          `${JSON.stringify(text)} is not an origin as browsers send it`,
          origin ?? 'scheme://host[:port]',
        );
    }
    return value;
  }

  #rule(rule: RuleFields, path: Path): ParsedRule {
    if (rule.min_version === 'TLSv1.3' && rule.max_version === 'TLSv1.2') {
      this.#mistake([...path, 'min_version'], 'min_version is above max_version', 'a version up to TLSv1.2');
    }
    return {
      ...this.#placeOf(path),
      host: this.#host(rule.host, [...path, 'host']),
      port: rule.port ?? 443,
      mode: rule.mode ?? null,
      trust: rule.trust ? this.#trust(rule.trust, [...path, 'trust']) : null,
      allow: rule.allow ?? [],
      pins: (rule.pins ?? []).map((pin) => pin.slice('sha256/'.length)),
      minVersion: rule.min_version ?? 'TLSv1.2',
      maxVersion: rule.max_version ?? 'TLSv1.3',
      serverName: rule.server_name === undefined ? null : this.#serverName(rule.server_name, [...path, 'server_name']),
    };
  }

  #trust(fields: TrustFields | undefined, path: Path): ParsedTrust {
    const ca = (fields?.ca ?? []).map((text, i) => ({ path: text, ...this.#placeOf([...path, 'ca', i]) }));
    return { system: fields?.system ?? true, ca };
  }

  #passthrough(text: string, path: Path) {
    const parsed = parsePassthrough(text);
    if (!parsed)
      this.#mistake(
        path,
        `${JSON.stringify(text)} is not a host`,
        'a host, "*.suffix" or address, with ":port" where only one port is meant',
      );
    return parsed ?? { host: text, port: '*' as const };
  }

  #host(text: string, path: Path): string {
    const host = canonicalPattern(text);
    if (host === null)
      this.#mistake(path, `${JSON.stringify(text)} is not a host`, 'an exact name, "*.suffix", "*" or an IP address');
    return host ?? text;
  }

  #serverName(text: string, path: Path): string {
    const host = canonicalHost(text);
    if (host === null) this.#mistake(path, `${JSON.stringify(text)} is not a host name`, 'a host name');
    return host ?? text;
  }

  #freeName(wanted: string): string {
    let name = wanted;
    for (let n = 2; this.#taken.has(name); n++) name = `${wanted}-${n}`;
    this.#taken.add(name);
    return name;
  }

  #mistake(path: Path, message: string, expected: string): void {
    this.mistakes.push({ path, atKey: false, message, expected });
  }
}

function passphraseOf(fields: PassphraseFields | undefined): ParsedPassphrase | null {
  if (fields === undefined) return null;
  return typeof fields === 'string' ? { text: fields } : fields;
}
