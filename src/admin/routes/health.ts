import { X509Certificate } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { AdminContext } from '../context.ts';

const Health = Type.Object({ status: Type.String() });

/** The open routes: is it there, is it ready, and the local CA's certificate for clients to trust. */
export const healthRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.get(
    '/healthz',
    { schema: { description: 'Answers while the process does.', response: { 200: Health } } },
    () => ({
      status: 'ok',
    }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        description: '200 when the proxy takes connections, 503 while it starts or drains.',
        response: { 200: Health, 503: Health },
      },
    },
    (_request, reply) => {
      void reply.code(context.ready() ? 200 : 503);
      return { status: context.ready() ? 'ready' : 'not ready' };
    },
  );
  app.get('/ca.pem', { schema: { description: "The local CA's certificate, PEM." } }, (_request, reply) => {
    void reply.type('application/x-pem-file').send(context.caPem);
  });
  app.get(
    '/ca.crt',
    { schema: { description: 'The same, DER, as phones and Windows want it.' } },
    (_request, reply) => {
      void reply.type('application/x-x509-ca-cert').send(new X509Certificate(context.caPem).raw);
    },
  );
  app.get(
    '/proxy.pac',
    { schema: { description: 'Sends everything but loopback through the proxy.' } },
    (_request, reply) => {
      void reply.type('application/x-ns-proxy-autoconfig').send(`function FindProxyForURL(url, host) {
  if (isPlainHostName(host) || host === "127.0.0.1" || host === "[::1]") return "DIRECT";
  return "PROXY ${context.proxyAddresses()[0]}";
}
`);
    },
  );
};
