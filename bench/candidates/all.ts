import type { Candidate } from './candidate.ts';
import { direct } from './direct.ts';
import { mitmproxy } from './mitmproxy.ts';
import { mtlsd } from './mtlsd.ts';
import { nginx } from './nginx.ts';
import { nodeProgram } from './node-program.ts';
import { squid } from './squid.ts';

/** @param stages by name, where mtlsd was laid out: more than one to compare builds */
export function allCandidates(stages: ReadonlyMap<string, string>): Candidate[] {
  return [
    ...[...stages].map(([name, stage]) => mtlsd(name, stage)),
    squid,
    mitmproxy,
    nodeProgram({ name: 'http-mitm-proxy', program: 'http-mitm-proxy', needs: 'http-mitm-proxy', http2: false }),
    nodeProgram({ name: 'mockttp', program: 'mockttp', needs: 'mockttp', http2: true }),
    nodeProgram({ name: 'bare pipe', program: 'pipe', http2: false, limit: true }),
    nginx,
    direct,
  ];
}
