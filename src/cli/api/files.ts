/** The admin API without a daemon: the same routes over the same files, in this process, so that both give the same answers. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createMetrics } from '../../admin/metrics.ts';
import { createAdminApp } from '../../admin/server.ts';
import { createUsage } from '../../admin/usage.ts';
import { withinReach } from '../../certs/decide.ts';
import { ownReach } from '../../certs/local-ca/own-ca.ts';
import { openStore } from '../../certs/store/store.ts';
import { asMtlsdError, MtlsdError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { createRecorder } from '../../inspect/records/recorder.ts';
import { loadSettings } from '../../settings/load.ts';
import { VERSION } from '../../version.ts';
import { type Api, answerOf } from './api.ts';
import { notRunning } from '../errors.ts';
import { plainConnection } from '../plain-connection.ts';

/** @throws MtlsdError BAD_CONFIGURATION where the store is invalid */
export async function filesApi(home: string): Promise<Api> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const store = await openStore({ file: join(home, 'certificates.yaml'), watch: false });
  // A mistake in mtlsd.yaml concerns a decision alone, which the settings have a part in.
  const limits = await caLimits(home).catch(asMtlsdError);
  const token = new Secret(randomBytes(32).toString('base64url'));
  const recorder = createRecorder({ maxRecords: 1, maxBytes: 1 });
  const app = await createAdminApp({
    version: VERSION,
    token,
    log: Object.assign(() => {}, { json: () => {}, flush: () => Promise.resolve() }),
    // The command fails with the error itself.
    report: () => {},
    home,
    // The commands that work without a daemon need no local CA, and must not make one.
    get ca(): never {
      throw notRunning(home);
    },
    within(decision, authority) {
      if (limits instanceof MtlsdError) throw limits;
      return withinReach(decision, authority, limits.reach, limits.outside);
    },
    recorder,
    fieldPolicy: 'none',
    store,
    renewals: {
      statusOf: () => null,
      renew: () => Promise.reject(notRunning(home)),
      rehearse: () => Promise.reject(notRunning(home)),
    },
    usage: createUsage((id) => recorder.connection(id)),
    metrics: createMetrics({
      version: VERSION,
      store: () => store.current,
      clientConnections: () => 0,
      pools: () => ({ pools: 0, connected: 0, running: 0, pending: 0 }),
      leaves: () => ({ size: 0, minted: 0 }),
    }),
    flush: () => {},
    connect: () => Promise.reject(notRunning(home)),
    connectPlain: plainConnection(home),
    viaOf: () => null,
    upstreamProxies: [],
    tlsTimeoutMs: 0,
    clientConnections: () => 0,
    passwordRequired: false,
    proxyAddresses: () => [],
    otherAddresses: () => ({ socks: null, listeners: [] }),
    ready: () => false,
  });
  return {
    daemon: null,
    async call(method, path, { body, headers } = {}) {
      const response = await app.inject({
        method: method as 'GET',
        url: path,
        headers: {
          ...(headers as Record<string, string>),
          host: 'unix',
          authorization: `Bearer ${token.reveal()}`,
          'user-agent': `mtlsd-cli/${VERSION}`,
        },
        ...(body !== undefined && { payload: body }),
      });
      return answerOf(response.statusCode, response.headers as Record<string, string>, response.body);
    },
    async close() {
      await app.close();
      await store.close();
    },
  };
}

/** What the local CA may sign for, without its key. */
async function caLimits(home: string) {
  const { reach, outside, own } = (await loadSettings({ home }, process.env)).ca;
  return { reach: own ? await ownReach(own.cert) : reach, outside };
}
