/** The open routes: is it there, is it ready, the local CA's certificate for clients to trust, and where the proxy is. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { pemOf } from '../../certs/local-ca/client-files.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { proxyPac } from '../proxy-pac.ts';
import { closed, failures } from '../schemas/common.ts';

const Health = Type.Object({ status: Type.String() }, closed);
const tags = ['open'];
/** No token: nothing in them is secret or changes anything. */
const security: [] = [];

const file = (type: string) => ({ description: 'The file.', content: { [type]: { schema: Type.String() } } });

export const healthRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'health',
        summary: 'Is the process there',
        description: 'Answers while it is.',
        tags,
        security,
        response: { 200: Health, ...failures },
      },
    },
    () => ({ status: 'ok' }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'ready',
        summary: 'Does the proxy take connections',
        description: '200 when it does, 503 while it starts or drains.',
        tags,
        security,
        response: { 200: Health, 503: Health, ...failures },
      },
    },
    (_request, reply) => {
      void reply.code(context.ready() ? 200 : 503);
      return { status: context.ready() ? 'ready' : 'not ready' };
    },
  );
  app.get(
    '/ca.pem',
    {
      schema: {
        operationId: 'caPem',
        summary: "The local CA's certificate, PEM",
        description: 'For clients to trust.',
        tags,
        security,
        response: { 200: file('application/x-pem-file'), ...failures },
      },
    },
    (_request, reply) => {
      void reply.type('application/x-pem-file');
      return pemOf(context.ca.current.anchors);
    },
  );
  app.get(
    '/ca.crt',
    {
      schema: {
        operationId: 'caDer',
        summary: 'The same, DER',
        description: 'As phones and Windows want it.',
        tags,
        security,
        response: { 200: file('application/x-x509-ca-cert'), ...failures },
      },
    },
    (_request, reply) => {
      void reply.type('application/x-x509-ca-cert').send(context.ca.current.anchors[0].raw as unknown as string);
    },
  );
  app.get(
    '/proxy.pac',
    {
      schema: {
        operationId: 'proxyPac',
        summary: 'Proxy auto-configuration',
        description:
          'Sends everything but loopback through the proxy; in interception mode `listed` only hosts with a certificate or a rule, and not those in passthrough. Refused for pages of other sites.',
        tags,
        security,
        response: { 200: file('application/x-ns-proxy-autoconfig'), ...failures },
      },
    },
    (request, reply) => {
      // It lists your hosts: no page but our own reads it. Browsers fetch the configuration itself without this field.
      const site = request.headers['sec-fetch-site'];
      if (site === 'cross-site' || site === 'same-site')
        throw new AdminError(
          'FOREIGN_ORIGIN',
          'a page of another site asks for the proxy configuration',
          'open the URL itself',
        );
      void reply
        .type('application/x-ns-proxy-autoconfig')
        .headers({ 'cache-control': 'no-cache', 'cross-origin-resource-policy': 'same-origin' });
      return proxyPac(context.store.current, context.proxyAddresses()[0]);
    },
  );
};
