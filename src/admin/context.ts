import type { Socket } from 'node:net';
import type { Decision } from '../certs/decide.ts';
import type { LocalCa } from '../certs/local-ca/state.ts';
import type { Renewer } from '../certs/renewal/renewer.ts';
import type { ConnectPlain } from '../certs/revocation/download.ts';
import type { Store } from '../certs/store/store.ts';
import type { Authority } from '../core/authority.ts';
import type { ReportFault } from '../core/boundary.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { FieldPolicy } from '../inspect/records/fields.ts';
import type { Recorder } from '../inspect/records/recorder.ts';
import type { Metrics } from './metrics.ts';
import type { Usage } from './usage.ts';

/** What daemon.ts hands to the admin room: the proxy's parts come as functions, since the rooms must not import each other. */
export interface AdminContext {
  readonly version: string;
  readonly token: Secret;
  readonly log: Log;
  readonly report: ReportFault;
  readonly home: string;
  readonly ca: Pick<LocalCa, 'current' | 'rotation' | 'certPath' | 'bundlePath'>;
  /** The decision for a host that the local CA may not sign for. */
  readonly within: (decision: Decision, authority: Authority) => Decision;
  readonly recorder: Recorder;
  /** Which header fields of exchanges are kept. */
  readonly fieldPolicy: FieldPolicy;
  readonly store: Store;
  readonly renewals: Pick<Renewer, 'statusOf' | 'renew' | 'rehearse'>;
  readonly usage: Usage;
  readonly metrics: Metrics;
  /** Brings records, usage and metrics up to the last exchange that has ended. */
  readonly flush: () => void;
  /** TCP to an origin as the proxy opens it, never to the daemon's own ports. */
  readonly connect: (authority: Authority) => Promise<Socket>;
  /** The same for requests in the clear, which a proxy on the way takes as they are. */
  readonly connectPlain: ConnectPlain;
  /** The upstream proxy for an authority; null for none. */
  readonly viaOf: (authority: Authority) => string | null;
  /** All of them, without credentials. */
  readonly upstreamProxies: readonly string[];
  readonly tlsTimeoutMs: number;
  /** Where clients reach the proxy. */
  readonly proxyAddresses: () => readonly string[];
  /** Where SOCKS clients reach it, and the local ports of single origins. */
  readonly otherAddresses: () => { readonly socks: string | null; readonly listeners: readonly string[] };
  /** Whether the proxy asks its clients for a password. */
  readonly passwordRequired: boolean;
  readonly clientConnections: () => number;
  readonly ready: () => boolean;
  /** Between two comments on a stream of events, so that both sides notice a dead connection. */
  readonly heartbeatMs?: number;
  /** How long a stream of events waits for a subscriber that reads nothing. */
  readonly stallMs?: number;
}
