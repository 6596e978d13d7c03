/**
 * Every kind of bad server, on TLS 1.2 and 1.3, in enforce, report and with an allow list, through one daemon: what is
 * refused, that nothing of it reached the server, and that log, header, body and API say it with the same codes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAllowable, PROBLEM_CODES } from '../../src/inspect/verify/problems.ts';
import { type Authorities, BAD_CHAINS, createAuthorities, type Shown } from '../support/bad-chains.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, type Told, toldOf } from '../support/exchange.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, ahead, type Authority, type CertificateOptions, createPki, DAY, type Issued } from '../support/pki.ts';
import { crlOf, MUST_STAPLE, type StapleKind, stapleOf } from '../support/revocation.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

interface Row {
  readonly name: string;
  readonly make: (authorities: Authorities) => Promise<Shown>;
  readonly problems: readonly string[];
  /** More of the rule, as YAML. */
  readonly rule?: (authorities: Authorities) => string;
  readonly onlyTls13?: boolean;
  readonly unserved?: boolean;
}

const pin = ({ x509 }: Issued): string =>
  `sha256/${createHash('sha256')
    .update(x509.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')}`;
const good = async ({ intermediate }: Authorities): Promise<Shown> => {
  const leaf = await intermediate.issue();
  return { leaf, sent: leaf.chainPem };
};
const PAST = { notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') };
const expired = async ({ intermediate }: Authorities): Promise<Shown> => {
  const leaf = await intermediate.issue(PAST);
  return { leaf, sent: leaf.chainPem };
};
const wrongPins = ({ other }: Authorities): string => `pins: ["${pin(other)}"]`;

/** A leaf whose CA says this of it. */
const revocable =
  (crl?: (root: Authority, leaf: Issued) => Promise<string>, staple?: StapleKind, options: CertificateOptions = {}) =>
  async ({ pki }: Authorities): Promise<Shown> => {
    const root = await pki.root({ key: 'rsa2048', cn: 'revoking root' });
    const leaf = await root.issue(options);
    return {
      ...{ leaf, sent: leaf.certPem, trust: [root] },
      ...(crl && { crl: await crl(root, leaf) }),
      ...(staple && { staple: readFileSync(stapleOf(root, leaf.x509, staple)) }),
    };
  };
const required = (): string => 'revocation: required';

const REVOCATION: readonly Row[] = [
  { name: 'a good CRL', make: revocable((root) => crlOf(root)), problems: [], rule: required },
  { name: 'a good staple', make: revocable(undefined, 'good'), problems: [], rule: required },
  {
    name: 'a CRL that lists it',
    make: revocable((root, { x509 }) => crlOf(root, { revoked: [x509] })),
    problems: ['CERT_REVOKED@0'],
  },
  { name: 'a staple that it is revoked', make: revocable(undefined, 'revoked'), problems: ['CERT_REVOKED@0'] },
  { name: 'no CRL where one is required', make: revocable(), problems: ['UNABLE_TO_GET_CRL@0'], rule: required },
  {
    name: 'an expired CRL where one is required',
    make: revocable((root) => crlOf(root, { thisUpdate: ago(2 * DAY), nextUpdate: ago(DAY) })),
    problems: ['CRL_HAS_EXPIRED@0'],
    rule: required,
  },
  {
    name: 'a CRL of tomorrow where one is required',
    make: revocable((root) => crlOf(root, { thisUpdate: ahead(DAY), nextUpdate: ahead(2 * DAY) })),
    problems: ['CRL_NOT_YET_VALID@0'],
    rule: required,
  },
  {
    name: 'a forged CRL where one is required',
    make: revocable(async () => crlOf(await (await createPki()).root({ key: 'rsa2048', cn: 'revoking root' }))),
    problems: ['CRL_SIGNATURE_FAILURE@0'],
    rule: required,
  },
  {
    name: 'a stale staple where one is required',
    make: revocable(undefined, 'stale'),
    problems: ['OCSP_VERIFY_FAILED@0'],
    rule: required,
  },
  {
    name: 'a staple of a responder that does not know it',
    make: revocable(undefined, 'unknown'),
    problems: ['OCSP_CERT_UNKNOWN@0'],
    rule: required,
  },
  {
    name: 'no staple where the certificate demands one',
    make: revocable(undefined, undefined, { extensions: [MUST_STAPLE] }),
    problems: ['OCSP_VERIFY_NEEDED@0'],
  },
];

const ROWS: readonly Row[] = [
  ...BAD_CHAINS,
  ...REVOCATION,
  { name: 'pinned leaf', make: good, problems: [], rule: ({ intermediate }) => `pins: ["${pin(intermediate)}"]` },
  { name: 'another pin', make: good, problems: ['PIN_MISMATCH@0'], rule: wrongPins },
  {
    name: 'another pin + expired',
    make: expired,
    problems: ['CERT_HAS_EXPIRED@0', 'PIN_MISMATCH@0'],
    rule: wrongPins,
  },
  {
    name: 'the name of the rule, not of the host',
    make: async ({ intermediate }) => {
      const leaf = await intermediate.issue({ cn: 'real.example' });
      return { leaf, sent: leaf.chainPem };
    },
    problems: [],
    rule: () => 'server_name: real.example',
  },
  {
    name: 'the name of the host, not of the rule',
    make: good,
    problems: ['HOSTNAME_MISMATCH@0'],
    rule: () => 'server_name: real.example',
  },
];

interface Case {
  readonly row: Row;
  readonly version: SecureVersion;
  /** In force on the first port: none allowed; then all codes of the row; then all but one. */
  readonly ports: { readonly strict: number; readonly allowed: number; readonly partly: number };
  readonly origin: Origin[];
}

describe('a server that shows', () => {
  const dir = temporaryDirectory();
  const cases = new Map<string, Case>();
  let daemon: RunningDaemon;
  let localLeaf: Origin[] = [];
  let old: Origin;
  let unchecked: Origin;
  /** Codes of problems that a record told of. */
  const told = new Set<string>();

  beforeAll(async () => {
    const authorities = await createAuthorities();
    const { root } = authorities;
    root.write(dir, 'root');
    const rules: string[] = [];
    const rule = (port: number, trust: string, more: string): void => {
      rules.push(`    - { host: localhost, port: ${port}, trust: { system: false, ca: ${trust} }${more} }`);
    };
    for (const [index, row] of ROWS.entries()) {
      const { leaf, sent, trust = [root], crl, staple } = await row.make(authorities);
      const cas = trust.map((anchor, at) => anchor.write(dir, `anchor-${index}-${at}`).cert).join(', ');
      if (crl !== undefined) writeFileSync(`${dir}/${index}.crl`, crl);
      const anchors = crl === undefined ? `[${cas}]` : `[${cas}], crl: [${dir}/${index}.crl]`;
      const codes = codesOf(row);
      const more = row.rule ? `, ${row.rule(authorities)}` : '';
      for (const version of VERSIONS) {
        const options = { key: leaf.keyPem, cert: sent, ciphers: 'DEFAULT:@SECLEVEL=0' };
        const origins = await Promise.all(
          [0, 1, 2].map(() => nodeOrigin({ ...options, minVersion: version, maxVersion: version })),
        );
        for (const { server } of staple ? origins : [])
          server.on('OCSPRequest', (_leaf, _issuer, done: (error: null, response?: Buffer) => void) =>
            done(null, staple),
          );
        const [strict = 0, allowed = 0, partly = 0] = origins.map(({ port }) => port);
        rule(strict, anchors, more);
        rule(allowed, anchors, `${more}, allow: [${codes.join(', ')}]`);
        rule(partly, anchors, `${more}, allow: [${codes.slice(1).join(', ')}]`);
        cases.set(`${row.name} ${version}`, { row, version, ports: { strict, allowed, partly }, origin: origins });
      }
    }
    const leaf = await root.issue();
    old = await nodeOrigin({ key: leaf.keyPem, cert: leaf.chainPem, maxVersion: 'TLSv1.2' });
    rule(old.port, `[${dir}/root.crt]`, ', min_version: TLSv1.3');
    const constrained = await (await root.intermediate({ permittedDns: ['localhost'] })).issue(PAST);
    unchecked = await nodeOrigin({ key: constrained.keyPem, cert: constrained.chainPem });
    rule(unchecked.port, `[${dir}/root.crt]`, ', allow: [CERT_HAS_EXPIRED]');
    daemon = await startDaemon({ store: 'version: 1\n' });
    localLeaf = await Promise.all(VERSIONS.map(() => nodeOrigin(ofLocalCa(daemon, dir))));
    for (const { port } of localLeaf) rule(port, `[${daemon.caFile}]`, ', allow: [SELF_SIGNED_CERT_IN_CHAIN]');
    await daemon.replaceStore(`version: 1\ntrust: { system: false }\nverification:\n  rules:\n${rules.join('\n')}\n`);
  });
  afterAll(async () => {
    const origins = [...cases.values()].flatMap(({ origin }) => origin);
    await Promise.all([daemon.stop(), ...[...origins, ...localLeaf, old, unchecked].map((origin) => origin.close())]);
  });

  /** The answer to a request that must be refused, held to everything that is said of it. */
  async function refused(port: number, path: string, codes: readonly string[], json: boolean) {
    const authority = `localhost:${port}`;
    const accept: Record<string, string> = json ? { accept: 'application/problem+json' } : {};
    const answer = await ask(daemon, authority, { method: 'POST', path, body: 'secret payload', headers: accept });
    expect(answer.status).toBe(502);
    const header = String(answer.headers['proxy-status']);
    expect(header).toMatch(/^mtlsd; error=tls_certificate_error; details="SERVER_CERTIFICATE_REJECTED [A-Z_]+: /);
    expect(codes).toContain(/REJECTED ([A-Z_]+):/.exec(header)?.[1]);
    const { exchange, connection } = await toldOf(daemon, path);
    note(connection);
    expect(exchange).toMatchObject({ status: 502, authorized: false, error: { code: 'SERVER_CERTIFICATE_REJECTED' } });
    expect(connection).toMatchObject({
      event: 'tls.failed',
      authority,
      error: { code: 'SERVER_CERTIFICATE_REJECTED', alert: null },
      verification: { authorized: false },
    });
    expect(problemsOf(connection?.verification.problems ?? [])).toEqual(codes);
    const said = json ? inJson(answer.body) : inText(answer.body);
    expect(said).toEqual({
      code: 'SERVER_CERTIFICATE_REJECTED',
      problems: codes,
      exchange: exchange.exchange,
      hint: connection?.error?.hint,
    });
    return connection;
  }

  async function letThrough(port: number, path: string, headers: Record<string, string> = {}) {
    const answer = await ask(daemon, `localhost:${port}`, { method: 'POST', path, body: 'payload', headers });
    expect(answer.body).toContain('"method":"POST"');
    expect(answer.status).toBe(200);
    const records = await toldOf(daemon, path);
    note(records.connection);
    expect(records.connection).toMatchObject({ event: 'tls.connected', error: null });
    return records;
  }

  function note(connection: Told['connection']): void {
    for (const { code } of connection?.verification.problems ?? []) told.add(code);
  }

  describe.each(VERSIONS)('on %s', (version) => {
    const rows = ROWS.filter(({ onlyTls13 }) => version === 'TLSv1.3' || onlyTls13 !== true);
    const bad = rows.filter(({ problems }) => problems.length > 0);
    const served = bad.filter(({ unserved }) => unserved !== true);
    const caseOf = ({ name }: Row): Case => cases.get(`${name} ${version}`) as Case;
    const path = ({ name }: Row, mode: string): string => `/${encodeURIComponent(name)}/${version}/${mode}`;

    test.each(rows.filter(({ problems }) => problems.length === 0))('$name: let through', async (row) => {
      const { connection, exchange } = await letThrough(caseOf(row).ports.strict, path(row, 'good'));
      expect(connection?.verification).toMatchObject({ mode: 'enforce', authorized: true, problems: [] });
      expect(connection?.tls?.protocol).toBe(version);
      expect(exchange).toMatchObject({ authorized: true, error: null });
    });

    test.each(bad)('$name: refused in enforce', async (row) => {
      const { ports, origin } = caseOf(row);
      const codes = row.problems.map((problem) => problem.split('@')[0] ?? '').sort();
      const connection = await refused(ports.strict, path(row, 'plain'), codes, false);
      expect(connection?.tls?.protocol).toBe(version);
      expect(places(connection?.verification.problems ?? [])).toEqual([...row.problems].sort());
      await refused(ports.strict, path(row, 'json'), codes, true);
      expect(origin[0]?.seen).toEqual([]);
    });

    test.each(served)('$name: let through and recorded in report', async (row) => {
      const headers = { 'mtlsd-verification': 'report' };
      const { connection, exchange } = await letThrough(caseOf(row).ports.strict, path(row, 'report'), headers);
      expect(connection?.verification).toMatchObject({ mode: 'report', override: true, authorized: false });
      expect(places(connection?.verification.problems ?? [])).toEqual([...row.problems].sort());
      expect(exchange).toMatchObject({ authorized: false, error: null, overrides: { verification: 'report' } });
    });

    test.each(served)('$name: let through where the rule allows all of it', async (row) => {
      const { connection, exchange } = await letThrough(caseOf(row).ports.allowed, path(row, 'allow'));
      expect(connection?.verification).toMatchObject({ mode: 'enforce', override: false, authorized: false });
      expect(places(connection?.verification.problems ?? [])).toEqual([...row.problems].sort());
      expect(connection?.verification.problems.every(({ allowed }) => allowed)).toBe(true);
      const codes = [...new Set(connection?.verification.problems.map(({ code }) => code))];
      expect(connection?.verification.allowed).toEqual(codes);
      expect(exchange).toMatchObject({ authorized: false, allowed: codes, error: null });
    });

    test.each(bad.filter((row) => codesOf(row).length > 1))('$name: refused where one is not allowed', async (row) => {
      const { ports, origin } = caseOf(row);
      const codes = row.problems.map((problem) => problem.split('@')[0] ?? '').sort();
      const connection = await refused(ports.partly, path(row, 'partly'), codes, true);
      const counted = connection?.verification.problems.filter(({ allowed }) => !allowed) ?? [];
      expect(new Set(counted.map(({ code }) => code))).toEqual(new Set([codesOf(row)[0]]));
      expect(origin[2]?.seen).toEqual([]);
    });

    test('a leaf of the local CA: refused with any trust, mode and rule', async () => {
      const origin = localLeaf[VERSIONS.indexOf(version)] as Origin;
      await refused(origin.port, `/local/${version}`, ['LOCAL_CA_LEAF'], true);
      const headers = { 'mtlsd-verification': 'report' };
      const answer = await ask(daemon, `localhost:${origin.port}`, { headers });
      expect(answer.status).toBe(502);
      expect(answer.body).toContain('LOCAL_CA_LEAF');
      expect(origin.seen).toEqual([]);
    });
  });

  test('an older TLS version than the rule requires: no handshake in enforce', async () => {
    const answer = await ask(daemon, `localhost:${old.port}`, { path: '/old/enforce' });
    expect(answer.status).toBe(502);
    expect(answer.headers['proxy-status']).toMatch(
      /^mtlsd; error=tls_alert_received; alert-id=70; alert-message=protocol_version; details="TLS_FAILED: /,
    );
    const { exchange, connection } = await toldOf(daemon, '/old/enforce');
    expect(exchange.error).toMatchObject({ code: 'TLS_FAILED', alert: { number: 70 } });
    expect(connection).toMatchObject({ event: 'tls.failed', error: { code: 'TLS_FAILED', alert: { number: 70 } } });
    expect(old.seen).toEqual([]);
  });

  test('an older TLS version than the rule requires: recorded in report', async () => {
    const { connection } = await letThrough(old.port, '/old/report', { 'mtlsd-verification': 'report' });
    expect(connection?.tls?.protocol).toBe('TLSv1.2');
    expect(connection?.verification).toMatchObject({ authorized: false, problems: [{ code: 'TLS_VERSION_TOO_LOW' }] });
  });

  test('name constraints that OpenSSL did not come to, since another problem is allowed: refused', async () => {
    const connection = await refused(unchecked.port, '/unchecked', ['CERT_HAS_EXPIRED', 'CONSTRAINTS_UNCHECKED'], true);
    expect(connection?.verification.problems).toMatchObject([{ allowed: true }, { code: 'CONSTRAINTS_UNCHECKED' }]);
    expect(unchecked.seen).toEqual([]);
  });

  test('was seen with every code of docs/problems.md', () => {
    expect([...told].sort()).toEqual(Object.keys(PROBLEM_CODES).sort());
  });
});

interface Named {
  readonly code: string;
  readonly depth: number | null;
}
const problemsOf = (problems: readonly Named[]): string[] => problems.map(({ code }) => code).sort();
const places = (problems: readonly Named[]): string[] => problems.map(({ code, depth }) => `${code}@${depth}`).sort();

interface Said {
  readonly code: string | undefined;
  readonly problems: readonly string[];
  readonly exchange: string | undefined;
  readonly hint: string | undefined;
}

function inJson(body: string): Said {
  const { code, problems, exchange, hint } = JSON.parse(body) as Said & { readonly problems: readonly Named[] };
  return { code, problems: problemsOf(problems), exchange, hint };
}

function inText(body: string): Said {
  const lines = (name: string): string[] =>
    [...body.matchAll(new RegExp(`^${name}: +(.+)$`, 'gm'))].map(([, value = '']) => value);
  const problems = lines('problem').map((line) => ({ code: line.split(/[ :]/)[0] ?? '', depth: null }));
  return {
    code: lines('code')[0],
    problems: problemsOf(problems),
    exchange: lines('exchange')[0],
    hint: lines('next')[0],
  };
}

/** What a rule may allow of a row. */
function codesOf({ problems }: Row): string[] {
  return [...new Set(problems.map((problem) => problem.split('@')[0] ?? ''))].filter(isAllowable);
}

/** A leaf for localhost of the daemon's own CA: what a loop, or the thief of its key, would show. */
function ofLocalCa(daemon: RunningDaemon, dir: string): { key: string; cert: string } {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const at = (name: string): string => `${dir}/local.${name}`;
  writeFileSync(at('ext'), 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n');
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', at('key'));
  openssl('req', '-new', '-key', at('key'), '-subj', '/CN=localhost', '-out', at('csr'));
  const by = ['-CA', daemon.caFile, '-CAkey', daemon.caFile.replace(/\.pem$/, '.key'), '-extfile', at('ext')];
  openssl('x509', '-req', '-in', at('csr'), ...by, '-days', '1', '-out', at('crt'));
  return { key: readFileSync(at('key'), 'utf8'), cert: readFileSync(at('crt'), 'utf8') };
}
