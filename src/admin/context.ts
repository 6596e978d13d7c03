import type { StoreProblem } from '../certs/store/parsed.ts';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { Recorder } from '../inspect/recorder.ts';

/** What daemon.ts hands to the admin room. */
export interface AdminContext {
  readonly version: string;
  readonly token: Secret;
  readonly log: Log;
  readonly caPem: string;
  readonly recorder: Recorder;
  readonly store: () => StoreSnapshot;
  /** Why the store on disk is not the one in force; empty where it is. */
  readonly storeProblems: () => readonly StoreProblem[];
  /** Where clients reach the proxy. */
  readonly proxyAddresses: () => readonly string[];
  readonly ready: () => boolean;
}
