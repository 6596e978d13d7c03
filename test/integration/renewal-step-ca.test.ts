/** Renewal and first enrolment with a real step-ca. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCa } from '../../src/certs/renewal/ca-client.ts';
import { newKeyLike } from '../../src/certs/renewal/key.ts';
import { requestFor } from '../../src/certs/renewal/request.ts';
import { signByStep } from '../../src/certs/renewal/step-ca.ts';
import type { RenewalTarget } from '../../src/certs/renewal/target.ts';
import { ago, ahead, type Authority, createPki, DAY, HOUR, type Issued } from '../support/pki.ts';
import { hasStepCa, type StepCa, stepCa } from '../support/step-ca.ts';
import { benchOf, connectWith, entryOf, folderFor, loaded, writePair } from '../unit/certs/renewal/support.ts';

describe.skipIf(!hasStepCa())('step-ca', () => {
  let root: Authority;
  let issuer: Authority;
  let ca: StepCa;

  beforeAll(async () => {
    root = await (await createPki()).root();
    issuer = await root.intermediate();
    ca = await stepCa(root, issuer);
  }, 240_000);
  afterAll(() => ca.close());

  const issue = (options = {}): Promise<Issued> =>
    issuer.issue({
      cn: 'me',
      sans: ['me.example'],
      freshKey: true,
      notBefore: ago(HOUR),
      notAfter: ahead(HOUR),
      ...options,
    });

  async function renew(issued: Issued, options = {}) {
    const folder = folderFor();
    const target: RenewalTarget = { kind: 'pem', ...writePair(folder, issued), passphrase: null };
    const entry = await entryOf({ via: { kind: 'step', url: ca.url }, target, root, folder, ...options });
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    const outcome = await bench.renewer.renew('me').catch((error: unknown) => error);
    return { bench, target, entry, outcome };
  }

  test('rekey: a new key, the same names, the chain complete', async () => {
    const { outcome, target, entry } = await renew(await issue());
    const after = await loaded(target);
    expect(outcome).toMatchObject({ via: 'step', fingerprintAfter: after.leaf.fingerprint256 });
    expect(after.leaf.subject).toBe('CN=me');
    expect(after.facts[0]?.sans).toEqual(['DNS:me.example']);
    expect(after.chain.map(({ subject }) => subject)).toEqual(['CN=me', 'CN=test intermediate']);
    expect(after.keyPem()).not.toBe(entry.identity.keyPem());
    // step-ca keeps the lifetime, and begins a minute early.
    const lifetime = after.leaf.validToDate.getTime() - after.leaf.validFromDate.getTime();
    expect(lifetime).toBe(2 * HOUR);
  });

  test('renew: the key stays', async () => {
    const before = await issue();
    const { outcome, target } = await renew(before, { rekey: false });
    expect(outcome).toMatchObject({ via: 'step' });
    expect(readFileSync(`${target.kind === 'pem' ? target.key : ''}`, 'utf8')).toBe(before.keyPem);
  });

  test('an expired certificate is refused, in the words of the CA', async () => {
    const { outcome, bench } = await renew(await issue({ notBefore: ago(DAY), notAfter: ago(HOUR) }));
    expect(outcome).toMatchObject({
      code: expect.stringMatching(/^CA_/) as string,
      message: expect.stringMatching(/; the certificate expired 2/) as string,
    });
    expect(bench.failed.length).toBeGreaterThan(0);
  });

  test('a certificate of another CA is refused', async () => {
    const other = await (await createPki()).root({ cn: 'other' });
    const { outcome } = await renew(await other.issue({ cn: 'me', freshKey: true }));
    expect(outcome).toMatchObject({ code: expect.stringMatching(/^CA_(REFUSED|UNREACHABLE)$/) as string });
  });

  test('a rehearsal reaches it', async () => {
    const { bench } = await renew(await issue());
    await expect(bench.renewer.rehearse('me')).resolves.toBeUndefined();
  });

  test('a first certificate with a one-time token, and not twice', async () => {
    const key = await newKeyLike(createPrivateKey((await issue()).keyPem));
    const client = await openCa(
      new URL(ca.url),
      (place) => connectWith({ ca: root.certPem }, place),
      AbortSignal.timeout(10_000),
    );
    const token = ca.token('new', ['new', 'new.example']);
    const request = requestFor('new', ['new', 'new.example'], key);
    const [leaf, above] = await signByStep(client, request, token);
    expect(leaf?.subject).toBe('CN=new');
    expect(leaf?.checkPrivateKey(key)).toBe(true);
    expect(above?.subject).toBe('CN=test intermediate');
    await expect(signByStep(client, request, token)).rejects.toMatchObject({ code: 'CA_REFUSED' });
    await client.close();
  });
});
