import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { mobileconfig } from '../../../../src/proxy/landing/mobileconfig.ts';
import { createPki } from '../../../support/pki.ts';
import { hasTool } from '../../../support/tools.ts';

const READ = `import sys,plistlib,json
print(json.dumps(plistlib.loads(sys.stdin.buffer.read()), default=lambda data: data.hex()))`;

interface Payload {
  readonly [field: string]: unknown;
}

/** Read by Python's plistlib, so that the product is not checked against itself. */
const read = (...certificates: [X509Certificate, ...X509Certificate[]]): Payload & { PayloadContent: Payload[] } =>
  JSON.parse(execFileSync('python3', ['-c', READ], { input: mobileconfig(certificates), encoding: 'utf8' }));

describe.runIf(hasTool('python3'))('the CA as a configuration profile', () => {
  test('is a property list with the certificate as a trusted root', async () => {
    const { x509 } = await (await createPki()).root({ subject: [{ CN: ['root & more'] }] });
    const profile = read(x509);
    expect(profile).toMatchObject({
      PayloadType: 'Configuration',
      PayloadVersion: 1,
      PayloadDisplayName: 'root & more',
      PayloadContent: [
        { PayloadType: 'com.apple.security.root', PayloadVersion: 1, PayloadContent: x509.raw.toString('hex') },
      ],
    });
    const ids = [profile, ...profile.PayloadContent].map(({ PayloadUUID }) => PayloadUUID);
    for (const id of ids) expect(id).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
    expect(new Set(ids).size).toBe(2);
  });

  test('an intermediate is not put among the roots; the same CA gives the same profile, another one another', async () => {
    const root = await (await createPki()).root();
    const { x509 } = await root.intermediate();
    expect(read(x509).PayloadContent[0]?.PayloadType).toBe('com.apple.security.pkcs1');
    expect(mobileconfig([x509])).toBe(mobileconfig([new X509Certificate(x509.raw)]));
    expect(read(x509).PayloadUUID).not.toBe(read(root.x509).PayloadUUID);
  });
});
