/** The admin API: Fastify, one definition a route for types, validation and OpenAPI; guarded before anything is parsed. */
import swagger from '@fastify/swagger';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, { type FastifyError } from 'fastify';
import { MtlsdError, nativeCode } from '../core/errors.ts';
import type { AdminContext } from './context.ts';
import { createGuard, OPEN_PATHS } from './guard.ts';
import { AdminError } from './problem.ts';
import { certificateRoutes } from './routes/certificates.ts';
import { exchangeRoutes } from './routes/exchanges.ts';
import { healthRoutes } from './routes/health.ts';

export type AdminApp = ReturnType<typeof createApp>;

export interface AdminServer {
  /** `http://127.0.0.1:8741` or `unix:PATH`, as bound. */
  readonly url: string;
  close(): Promise<void>;
}

/** An upload is a certificate with its chain and a key; a PFX of a hundred certificates is below this. */
const BODY_LIMIT = 1024 * 1024;

/** @throws MtlsdError BAD_CONFIGURATION where the address can't be listened on */
export async function startAdminServer(
  context: AdminContext,
  address: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<AdminServer> {
  const app = createApp(context);
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'mtlsd admin API', version: context.version } },
  });
  for (const routes of [healthRoutes, certificateRoutes, exchangeRoutes]) await app.register(routes, context);
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  try {
    const url = await app.listen(address);
    return { url: 'path' in address ? `unix:${address.path}` : url, close: () => app.close() };
  } catch (error) {
    const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
    throw new MtlsdError(
      'BAD_CONFIGURATION',
      `can't listen on ${where} for the admin API: ${nativeCode(error) ?? String(error)}`,
      {
        hint: 'another program has that port, perhaps another mtlsd; choose one with --admin ADDR:PORT',
        cause: error,
      },
    );
  }
}

function createApp(context: AdminContext) {
  const guard = createGuard(context.token);
  const app = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true })
    .setValidatorCompiler(TypeBoxValidatorCompiler)
    .withTypeProvider<TypeBoxTypeProvider>();
  app.addHook('onRequest', async (request, reply) => {
    await guard.checkPlace(request, reply);
    if (!OPEN_PATHS.has(request.url.split('?')[0] ?? '')) guard.checkToken(request);
  });
  app.setNotFoundHandler((request) => {
    throw new AdminError(
      404,
      'NOT_FOUND',
      `there is no ${request.method} ${request.url.split('?')[0]}`,
      'GET /openapi.json lists the routes',
    );
  });
  app.setErrorHandler((error: FastifyError | Error, _request, reply) => {
    const known = asAdminError(error);
    if (known.status >= 500) context.log('error', 'daemon.warning', { message: `admin API: ${error.message}` });
    void reply.code(known.status).type('application/problem+json').send(JSON.stringify(known.body()));
  });
  return app;
}

function asAdminError(error: FastifyError | Error): AdminError {
  if (error instanceof AdminError) return error;
  if (error instanceof MtlsdError) return new AdminError(422, error.code, error.message, error.hint);
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  if (status >= 500)
    return new AdminError(
      500,
      'INTERNAL',
      'the admin API failed',
      'this is a fault of mtlsd; please report it with its log',
    );
  return new AdminError(status, 'BAD_REQUEST', error.message, 'GET /openapi.json says what this route takes');
}
