/** Connections to CAs, dialled and recorded like those to origins, and verified in enforce whatever the rules say. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { RenewalEntry } from '../../certs/renewal/plan.ts';
import type { StoreEntry } from '../../certs/store/snapshot.ts';
import type { Policy } from '../../certs/store/policy.ts';
import type { TrustAnchors } from '../../certs/trust.ts';
import type { Authority } from '../../core/authority.ts';
import { WITHOUT_CRLS } from '../../core/revocation/book.ts';
import type { Dial } from './dial.ts';

/**
 * @param entryOf the entry in force of a name
 * @returns opens a connection that presents the certificate of the entry as it is renewed
 */
export function connectForRenewal(
  dial: Dial,
  entryOf: (name: string) => StoreEntry | null,
): (entry: RenewalEntry, authority: Authority) => Promise<Socket> {
  return async ({ name, identity, renew }, authority) => {
    const entry = entryOf(name);
    const choice = { entry: entry && { ...entry, identity }, reason: `renewal of ${name}` };
    const policy = enforcing(renew.trust);
    const connection = await dial({ authority, choice, policy, override: false, alpn: ['http/1.1'] });
    // A refusal of the certificate is reported as such, and not as a connection that ended.
    await new Promise<void>((resolve) => connection.whenSettled(resolve));
    if (connection.refusal) throw connection.refusal;
    return connection.socket;
  };
}

function enforcing(trust: TrustAnchors): Policy {
  return {
    id: createHash('sha256').update(`renewal ${trust.id}`).digest('base64url'),
    mode: 'enforce',
    rule: null,
    trust,
    revocation: WITHOUT_CRLS,
    allow: [],
    pins: [],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    serverName: null,
  };
}
