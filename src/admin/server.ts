/** The admin API: Fastify, one definition a route for types, validation and OpenAPI; guarded before anything is parsed. */
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyError } from 'fastify';
import { DiagnosisSchema } from '../certs/identity/identity.ts';
import { badConfiguration, MtlsdError, nativeCode } from '../core/errors.ts';
import { FactsSchema } from '../core/facts-schema.ts';
import { clearSocketPath } from '../core/unix-socket.ts';
import {
  ConnectionSchema,
  ExchangeSchema,
  RecordErrorSchema,
  RevocationSchema,
  ServerProblemSchema,
} from '../inspect/records/types.ts';
import { whoOf } from './changes.ts';
import type { AdminContext } from './context.ts';
import { createGuard, isOpen } from './guard.ts';
import { withApiHints } from './hints.ts';
import { openapiOptions } from './openapi.ts';
import { AdminError, asAdminError } from './problem.ts';
import { caRoutes, LocalCaSchema } from './routes/ca.ts';
import { certificateRoutes, EntryListSchema } from './routes/certificates.ts';
import { eventRoutes } from './routes/events.ts';
import { exchangeRoutes } from './routes/exchanges.ts';
import { healthRoutes } from './routes/health.ts';
import { inspectRoutes } from './routes/inspect.ts';
import { loginRoutes } from './routes/login.ts';
import { matchRoutes } from './routes/match.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { pageRoutes } from './routes/page.ts';
import { probeRoutes } from './routes/probe.ts';
import { RenewalAnswer, renewalRoutes } from './routes/renewal.ts';
import { OwnRevocationList, revocationRoutes } from './routes/revocation.ts';
import { ruleRoutes } from './routes/rules.ts';
import { sectionRoutes } from './routes/sections.ts';
import { sessionRoutes } from './routes/session.ts';
import { statusRoutes, StatusSchema } from './routes/status.ts';
import { AnchorListSchema, AnchorSchema, anchorRoutes } from './routes/anchors.ts';
import { EntrySchema, InspectAnswer } from './schemas/certificate.ts';
import { ProblemSchema } from './schemas/common.ts';
import { MatchSchema } from './schemas/match.ts';
import { ProbeSchema } from './schemas/probe.ts';
import { ExchangeFieldsSchema, ExchangeList, HeadSchema } from './schemas/records.ts';
import { RejectedSchema, StoreChangeSchema, StoreProblemSchema } from './schemas/store.ts';
import { createSessions } from './session.ts';
import { compileValidator } from './validation.ts';

export type AdminApp = Awaited<ReturnType<typeof createAdminApp>>;

export interface AdminServer {
  /** `http://127.0.0.1:8741` or `unix:PATH`, as bound. */
  readonly url: string;
  close(): Promise<void>;
}

/** An upload is a certificate with its chain and a key; a PFX of a hundred certificates is below this. */
const BODY_LIMIT = 1024 * 1024;
/**
 * Every client is on this machine, where the largest upload takes milliseconds: a client that needs longer has stopped. Fastify
 * (5.12) has no time-out for half a body.
 */
const TIMEOUTS_MS = { head: 5_000, request: 15_000, idle: 30_000, checked: 1_000 };
/** Pages and terminals hold one or two each; the descriptors are the proxy's. */
const MOST_CONNECTIONS = 256;

const ROUTES = [
  healthRoutes,
  statusRoutes,
  caRoutes,
  inspectRoutes,
  certificateRoutes,
  renewalRoutes,
  revocationRoutes,
  sectionRoutes,
  ruleRoutes,
  matchRoutes,
  probeRoutes,
  exchangeRoutes,
  eventRoutes,
  metricsRoutes,
  anchorRoutes,
];

/** What the page is served and signed in by; they need the sessions too. */
const PAGE_ROUTES = [pageRoutes, loginRoutes, sessionRoutes];

/** On the app itself: a schema added by a plugin gives the plugin Fastify's own validator (5.12). */
const SHARED = [
  ProblemSchema,
  FactsSchema,
  DiagnosisSchema,
  EntrySchema,
  ServerProblemSchema,
  RevocationSchema,
  RecordErrorSchema,
  ConnectionSchema,
  ExchangeSchema,
  HeadSchema,
  ExchangeFieldsSchema,
  StoreProblemSchema,
  StoreChangeSchema,
  RejectedSchema,
  EntryListSchema,
  InspectAnswer,
  RenewalAnswer,
  OwnRevocationList,
  MatchSchema,
  ProbeSchema,
  ExchangeList,
  StatusSchema,
  LocalCaSchema,
  AnchorSchema,
  AnchorListSchema,
];

/**
 * @param anyPort whether a port that is taken is replaced by any free one
 * @throws MtlsdError BAD_CONFIGURATION where the address can't be listened on
 */
export async function startAdminServer(
  context: AdminContext,
  address: { readonly host: string; readonly port: number } | { readonly path: string },
  anyPort = false,
): Promise<AdminServer> {
  const app = await createAdminApp(context);
  try {
    const url =
      'path' in address
        ? await listenPrivately(app, address.path)
        : await app.listen(address).catch((error: unknown) => {
            if (!anyPort || nativeCode(error) !== 'EADDRINUSE') throw error;
            return app.listen({ ...address, port: 0 });
          });
    return { url: 'path' in address ? `unix:${address.path}` : url, close: () => app.close() };
  } catch (error) {
    await app.close();
    if (error instanceof MtlsdError) throw error;
    const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
    throw badConfiguration(
      `can't listen on ${where} for the admin API: ${nativeCode(error) ?? String(error)}`,
      'another program has that port, perhaps another mtlsd; choose one with --admin ADDR:PORT, or take any with --port auto',
      error,
    );
  }
}

/** The umask makes the socket 0600 from its first moment: a chmod after it would leave others a moment to connect. */
async function listenPrivately(app: AdminApp, path: string): Promise<string> {
  await clearSocketPath(path);
  const umask = process.umask(0o177);
  try {
    return await app.listen({ path });
  } finally {
    process.umask(umask);
  }
}

/** The routes without a socket: the command line calls them in its own process where no daemon runs. */
export async function createAdminApp(context: AdminContext) {
  const sessions = createSessions(context.token);
  const guard = createGuard(context.token, sessions);
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    http: { headersTimeout: TIMEOUTS_MS.head, connectionsCheckingInterval: TIMEOUTS_MS.checked },
    requestTimeout: TIMEOUTS_MS.request,
    keepAliveTimeout: TIMEOUTS_MS.idle,
    // Open streams of events would keep the daemon from stopping.
    forceCloseConnections: true,
    // A rule's host may have 253 characters, percent-encoded at that.
    routerOptions: { maxParamLength: 800 },
  })
    .setValidatorCompiler(compileValidator)
    // A serialiser made from the schema would drop fields that the schema lacks.
    .setSerializerCompiler(() => (data) => JSON.stringify(data))
    .withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = MOST_CONNECTIONS;
  // A form or a plain text is what a page of another origin could send without being asked first.
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('session', null);
  app.addHook('preClose', async () => sessions.close());
  app.addHook('onRequest', async (request, reply) => {
    context.flush();
    try {
      await guard.checkPlace(request, reply);
      if (!isOpen(request.url)) guard.checkCaller(request);
    } catch (error) {
      const { code } = asAdminError(error as Error);
      const path = request.url.split('?')[0]?.slice(0, 200);
      context.log('warn', 'admin', { action: 'refused', ...whoOf(request), method: request.method, path, code });
      throw error;
    }
  });
  app.setNotFoundHandler((request) => {
    throw new AdminError(
      'NOT_FOUND',
      `there is no ${request.method} ${request.url.split('?')[0]}`,
      'GET /openapi.json lists the routes',
    );
  });
  app.addHook('preSerialization', async (request, _reply, payload: unknown) =>
    whoOf(request).who === 'cli' ? payload : withApiHints(payload),
  );
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const known = asAdminError(error);
    if (known.code === 'INTERNAL') context.report({ scope: 'admin', id: null, error });
    if (known.status === 503 || known.status === 429) void reply.header('retry-after', known.retryAfterSeconds);
    if (known.status === 401) void reply.header('www-authenticate', 'Bearer realm="mtlsd"');
    void reply
      .code(known.status)
      .type('application/problem+json')
      .send(JSON.stringify(whoOf(request).who === 'cli' ? known.body() : withApiHints(known.body())));
  });
  await app.register(swagger, openapiOptions(context.version));
  for (const schema of SHARED) app.addSchema(schema);
  for (const routes of ROUTES) await app.register(routes, context);
  for (const routes of PAGE_ROUTES) await app.register(routes, { context, sessions });
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').send(app.swagger()),
  );
  await app.ready();
  return app;
}
