/** Probes a server on demand. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { CertificateChoice } from '../../certs/store/snapshot.ts';
import { parseAuthority } from '../../core/authority.ts';
import { probe } from '../../inspect/probe/probe.ts';
import { logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { failures, named } from '../schemas/common.ts';
import { ProbeBody, ProbeSchema } from '../schemas/probe.ts';

/** Each makes up to a hundred handshakes; more at once would be a load on others' servers. */
const MOST_AT_ONCE = 4;

export const probeRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  let running = 0;
  app.post(
    '/api/v1/probe',
    {
      schema: {
        operationId: 'probe',
        summary: 'Look at a server closely',
        description:
          'Handshakes with and without the certificate: chain, problems, versions, ciphers, whether a client certificate is asked for and from which CAs. No request is sent. A server that can not be reached is an answer too.',
        tags: ['inspect'],
        body: ProbeBody,
        response: { 200: named(ProbeSchema), ...failures },
      },
    },
    async (request) => {
      const { body } = request;
      const authority = parseAuthority(body.authority, 443);
      const store = context.store.current;
      const wish = { profile: body.profile, certificate: body.certificate === null ? 'none' : body.certificate };
      const { entry, reason }: CertificateChoice = store.chooseCertificate(authority, wish);
      const policy = store.choosePolicy(authority);
      if (running >= MOST_AT_ONCE)
        throw new AdminError('BUSY', `${running} probes are under way`, 'try again when one of them is done');
      running++;
      logChange(context, request, 'probe', { authority: authority.text, certificate: entry?.name ?? null });
      try {
        const result = await probe({
          authority,
          connect: () => context.connect(authority),
          identity: entry?.identity
            ? { certPem: entry.identity.certPem, keyPem: entry.identity.keyPem(), chain: entry.identity.chain }
            : null,
          serverName: policy.serverName,
          expectation: {
            mode: policy.mode,
            anchors: policy.trust.certificates,
            allow: policy.allow,
            pins: policy.pins,
            minVersion: policy.minVersion,
            revocation: policy.revocation,
            refuseIssuedBy: context.ca.current.refused,
          },
          timeoutMs: context.tlsTimeoutMs,
          ciphers: body.ciphers ?? true,
          report: context.report,
        });
        const via = context.viaOf(authority);
        const certificate = { name: entry?.name ?? null, reason, usable: entry?.identity !== null };
        // The other end of the socket is the upstream proxy; only that knows the server's address.
        return { certificate, ...result, via, address: via === null ? result.address : null };
      } finally {
        running--;
      }
    },
  );
};
