/** The local CA: what it is, and its rotation. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Rotation } from '../../certs/local-ca/state.ts';
import { authorityOf } from '../../core/authority.ts';
import { certificateFacts } from '../../core/facts.ts';
import { OWN_NAME } from '../../core/own-name.ts';
import type { Plain } from '../../core/schema.ts';
import { durationMs } from '../../core/time.ts';
import { logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { closed, failures, named, nullable, Time } from '../schemas/common.ts';

const facts = {
  subject: Type.String({ description: 'Of the certificate that clients have to trust.' }),
  fingerprint256: Type.String(),
  not_after: Type.String(),
};

export const LocalCaSchema = Type.Object(
  {
    ...facts,
    signer: Type.String({ description: 'The CA that signs: the same, or an intermediate below it.' }),
    tests_trust: Type.Boolean({
      description: 'Whether it may sign for `mtlsd.test`, which clients are tested with.',
    }),
    rotation: nullable(
      Type.Object(
        { ...facts, takes_over: { ...Time, description: 'When it signs in place of the other.' } },
        { ...closed, description: 'The new CA, which clients have to trust too; null where no rotation is under way.' },
      ),
    ),
    path: Type.String({ description: 'The file with the certificates that clients have to trust.' }),
    bundle: Type.String({ description: "The file with the system's trust anchors and the local CA." }),
  },
  { ...closed, $id: 'LocalCa', description: 'The CA that signs what clients see.' },
);

export type LocalCaAnswer = Plain<typeof LocalCaSchema>;

const Begin = Type.Object(
  {
    overlap: Type.Optional(
      Type.String({
        pattern: '^[1-9]\\d{0,5}[smhd]$',
        default: '30d',
        description: 'For how long the present CA signs on. 30d when left out.',
        errorMessage: 'a duration such as 30m, 12h or 30d',
      }),
    ),
  },
  closed,
);

export function localCaAnswer(ca: AdminContext['ca']): LocalCaAnswer {
  const { anchors, signer, next, reach } = ca.current;
  return {
    ...factsOf(anchors[0]),
    signer: certificateFacts(signer.certificate).subject,
    tests_trust: reach.permits(authorityOf(OWN_NAME, 443)),
    rotation: next && { ...factsOf(next.signer.certificate), takes_over: next.takesOver.toISOString() },
    path: ca.certPath,
    bundle: ca.bundlePath,
  };
}

function factsOf(certificate: Parameters<typeof certificateFacts>[0]) {
  const { subject, fingerprint256, not_after } = certificateFacts(certificate);
  return { subject, fingerprint256, not_after };
}

export const caRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const rotation = (): Rotation => {
    if (context.ca.rotation) return context.ca.rotation;
    throw new AdminError(
      'OWN_CA',
      'ca.cert in mtlsd.yaml names a CA of your own, which mtlsd does not replace',
      'get a new certificate and replace the files of ca.cert and ca.key; they are watched',
    );
  };
  const none = () =>
    new AdminError('NO_ROTATION', 'no rotation of the local CA is under way', 'mtlsd ca rotate begins one');

  app.post(
    '/api/v1/ca/rotation',
    {
      schema: {
        operationId: 'beginRotation',
        summary: 'Make a new local CA',
        description: 'Clients have to trust it beside the present one, which signs on until `takes_over`.',
        tags: ['ca'],
        body: Begin,
        response: { 201: named(LocalCaSchema), ...failures },
      },
    },
    async (request, reply) => {
      if (!(await rotation().begin(durationMs(request.body.overlap ?? '30d'))))
        throw new AdminError(
          'ROTATING',
          'a rotation of the local CA is under way',
          'finish it: mtlsd ca rotate --finish; or cancel it: mtlsd ca rotate --cancel',
        );
      logChange(context, request, 'ca.rotation_begin', {});
      void reply.code(201);
      return localCaAnswer(context.ca);
    },
  );

  app.post(
    '/api/v1/ca/rotation/finish',
    {
      schema: {
        operationId: 'finishRotation',
        summary: 'Let the new local CA take over now',
        description: 'Leaves are signed by it from the next connection on. The key of the other is gone.',
        tags: ['ca'],
        response: { 200: named(LocalCaSchema), ...failures },
      },
    },
    async (request) => {
      if (!(await rotation().finish())) throw none();
      logChange(context, request, 'ca.rotation_finish', {});
      return localCaAnswer(context.ca);
    },
  );

  app.delete(
    '/api/v1/ca/rotation',
    {
      schema: {
        operationId: 'cancelRotation',
        summary: 'Drop the new local CA',
        description: 'The present one signs on.',
        tags: ['ca'],
        response: { 204: Type.Null({ description: 'Dropped.' }), ...failures },
      },
    },
    async (request, reply) => {
      if (!(await rotation().cancel())) throw none();
      logChange(context, request, 'ca.rotation_cancel', {});
      void reply.code(204);
      return null;
    },
  );
};
