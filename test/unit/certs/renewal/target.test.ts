/** Files that a renewal must not replace are found at load, with the reason. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  refusalOf,
  refusalOfAccess,
  refusalOfOwner,
  type RenewalTarget,
} from '../../../../src/certs/renewal/target.ts';
import { folderFor } from './support.ts';

const pem = (cert: string, key: string | null = null): RenewalTarget => ({ kind: 'pem', cert, key, passphrase: null });

function folderWith(...names: string[]): (name: string) => string {
  const folder = folderFor();
  for (const name of names) writeFileSync(join(folder, name), 'x', { mode: 0o600 });
  return (name) => join(folder, name);
}

describe('files that can be renewed', () => {
  test('of the daemon, in its folder', async () => {
    const at = folderWith('me.crt', 'me.key');
    expect(await refusalOf(pem(at('me.crt'), at('me.key')))).toBeNull();
  });

  test('missing ones are reported by the loader', async () => {
    expect(await refusalOf(pem(folderWith()('me.crt')))).toBeNull();
  });
});

describe('files that can not', () => {
  test('in a Kubernetes volume', async () => {
    const at = folderWith('tls.crt');
    mkdirSync(at('..2026'));
    symlinkSync('..2026', at('..data'));
    const refusal = await refusalOf(pem(at('tls.crt')));
    expect(refusal).toMatchObject({ code: 'RENEWAL_IMPOSSIBLE', severity: 'warning', file: at('tls.crt') });
    expect(refusal?.message).toMatch(/in a Kubernetes volume, which is read-only$/);
    expect(refusal?.hint).toMatch(/leave renew: out/);
  });

  test('where the daemon may not write', () => {
    expect(refusalOfAccess('/x', 'EROFS')?.message).toMatch(/is on a file system that is mounted read-only$/);
    expect(refusalOfAccess('/x', 'EACCES')?.message).toMatch(/in a folder that the daemon can't write \(EACCES\)$/);
    expect(refusalOfAccess('/x', 'ENOENT')).toBeNull();
  });

  test('of another user, unless the daemon is root, which restores the owner', () => {
    expect(refusalOfOwner('/x/me.crt', 1000, 1001)?.message).toBe(
      "the certificate can't be renewed: /x/me.crt belongs to the user 1000, not to the daemon",
    );
    expect(refusalOfOwner('/x/me.crt', 1000, 1000)).toBeNull();
    expect(refusalOfOwner('/x/me.crt', 1000, 0)).toBeNull();
    expect(refusalOfOwner('/x/me.crt', 1000, undefined)).toBeNull();
  });

  test('a PFX of which one key is used: the others would be lost', async () => {
    const at = folderWith('people.p12');
    const refusal = await refusalOf({ kind: 'pfx', pfx: at('people.p12'), alias: 'alice', passphrase: null });
    expect(refusal?.message).toMatch(/holds several keys, and the others would be lost$/);
  });
});
