/** An entry with its files, and a CA to renew it: everything of a renewal but the store and the daemon. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SecureContextOptions } from 'node:tls';
import { onTestFinished } from 'vitest';
import { loadIdentity } from '../../../../src/certs/identity/load.ts';
import type { IdentitySource } from '../../../../src/certs/identity/load.ts';
import type { ClientIdentity } from '../../../../src/certs/identity/identity.ts';
import { Renewer, type Renewable, type Renewed, type RenewalFailed } from '../../../../src/certs/renewal/renewer.ts';
import type { RenewalPlan, RenewalVia } from '../../../../src/certs/renewal/plan.ts';
import type { RenewalTarget } from '../../../../src/certs/renewal/target.ts';
import { loadTrust } from '../../../../src/certs/trust.ts';
import type { Authority as Place } from '../../../../src/core/authority.ts';
import type { Authority, Issued } from '../../../support/pki.ts';

export function folderFor(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mtlsd-renewal-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** `me.crt` with its chain, and `me.key`. */
export function writePair(folder: string, issued: Issued): { cert: string; key: string } {
  const files = { cert: join(folder, 'me.crt'), key: join(folder, 'me.key') };
  writeFileSync(files.cert, issued.chainPem, { mode: 0o640 });
  writeFileSync(files.key, issued.keyPem, { mode: 0o600 });
  return files;
}

export function sourceOf(target: RenewalTarget): IdentitySource {
  const { passphrase } = target;
  return target.kind === 'pfx'
    ? { cert: null, key: null, pfx: { path: target.pfx }, alias: target.alias, passphrase }
    : {
        cert: { path: target.cert },
        key: target.key === null ? null : { path: target.key },
        pfx: null,
        alias: null,
        passphrase,
      };
}

export async function loaded(target: RenewalTarget): Promise<ClientIdentity> {
  const { identity, problems } = await loadIdentity(sourceOf(target));
  if (!identity) throw new Error(`it does not load: ${problems[0]?.message}`);
  return identity;
}

export interface EntryOptions {
  readonly via: RenewalVia;
  readonly target: RenewalTarget;
  readonly root: Authority;
  readonly folder: string;
  readonly after?: number;
  readonly rekey?: boolean;
  readonly name?: string;
}

export async function entryOf(
  options: EntryOptions,
): Promise<Renewable & { identity: ClientIdentity; renew: RenewalPlan }> {
  const { via, target, root, folder, after = 2 / 3, rekey = true, name = 'me' } = options;
  return {
    name,
    host: 'api.example',
    etag: 'e1',
    enabled: true,
    problems: [],
    identity: await loaded(target),
    renew: {
      via,
      after,
      rekey,
      trust: loadTrust({ system: false, ca: [{ pem: root.certPem, file: 'root' }] }),
      target,
      source: sourceOf(target),
      folder,
    },
  };
}

/** A verified connection that presents the entry's certificate, as the daemon's own, by Node alone. */
export function connectWith(context: SecureContextOptions, { host, port }: Place): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...context, host, port, servername: host, ALPNProtocols: ['http/1.1'] });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

export interface Bench {
  readonly renewer: Renewer;
  readonly renewed: Renewed[];
  readonly failed: RenewalFailed[];
  readonly reloads: () => number;
  /** The next notice of a failure. */
  nextFailure(): Promise<RenewalFailed>;
  nextRenewal(): Promise<Renewed>;
}

export interface BenchOptions {
  readonly stateFile?: string;
  readonly timeoutMs?: number;
  readonly connect?: () => Promise<Socket>;
  readonly reload?: () => Promise<unknown>;
}

export function benchOf(folder: string, options: BenchOptions = {}): Bench {
  const renewed: Renewed[] = [];
  const failed: RenewalFailed[] = [];
  let reloads = 0;
  const waiting: { failed: ((notice: RenewalFailed) => void)[]; renewed: ((notice: Renewed) => void)[] } = {
    failed: [],
    renewed: [],
  };
  const renewer = new Renewer({
    stateFile: options.stateFile ?? join(folder, 'renewals.json'),
    connect: (entry, authority) =>
      options.connect?.() ??
      connectWith(
        { cert: entry.identity.certPem, key: entry.identity.keyPem(), ca: [...entry.renew.trust.pems] },
        authority,
      ),
    reload: async () => {
      reloads++;
      await options.reload?.();
    },
    onRenewed: (notice) => {
      renewed.push(notice);
      waiting.renewed.shift()?.(notice);
    },
    onFailed: (notice) => {
      failed.push(notice);
      waiting.failed.shift()?.(notice);
    },
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
  });
  onTestFinished(() => renewer.close());
  return {
    renewer,
    renewed,
    failed,
    reloads: () => reloads,
    nextFailure: () => new Promise((resolve) => waiting.failed.push(resolve)),
    nextRenewal: () => new Promise((resolve) => waiting.renewed.push(resolve)),
  };
}
