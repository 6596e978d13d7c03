/** What is measured: each candidate is started afresh for a case, on the proxy's core. */
import type { Lab } from '../lab/lab.ts';

export interface Candidate {
  readonly name: string;
  /** Clients reach a proxy by CONNECT; a reverse proxy serves one origin; direct has no process. */
  readonly kind: 'proxy' | 'reverse' | 'direct';
  /** A limit to compare with, which lacks most of what the others do. */
  readonly limit?: boolean;
  /** Whether it takes HTTP/2 from the client. */
  readonly http2: boolean;
  /** Started by a Node that takes `--import`, for what only the process itself can see. */
  readonly node?: boolean;
  /** What is missing on this machine, or null. */
  missing(): string | null;
  start(lab: Lab, options?: StartOptions): Promise<Running>;
}

export interface StartOptions {
  /** Ports of origins on 127.0.0.1 that the case asks; a reverse proxy listens once for each. Default: the lab's. */
  readonly targets?: readonly number[];
  /** For the Node that runs the candidate. */
  readonly nodeArgs?: readonly string[];
}

export interface Running {
  /** 0 for direct. */
  readonly pid: number;
  /** A proxy's port. */
  readonly port: number | null;
  /** Milliseconds from the start of the process until it took a connection. */
  readonly startMs: number;
  /** Where a client finds that origin: host and port. */
  at(target: number): string;
  stop(): Promise<void>;
}
