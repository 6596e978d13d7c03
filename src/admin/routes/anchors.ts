/** The CA files of the store: what is in each, one more by upload or as a server sends it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Static, Type } from 'typebox';
import { placeOf } from '../../certs/store/compile.ts';
import { readAnchorFile } from '../../certs/store/anchors.ts';
import type { StoreEdit } from '../../certs/store/edit-value.ts';
import { type HostPort, hostPortText } from '../../core/hosts.ts';
import type { RuleFields, TrustFields } from '../../certs/store/schema.ts';
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { loadTrust } from '../../certs/trust.ts';
import { parseAuthority } from '../../core/authority.ts';
import { type CertificateFacts, certificateFacts } from '../../core/facts.ts';
import { FactsSchema } from '../../core/facts-schema.ts';
import type { Plain } from '../../core/schema.ts';
import { sentChain } from '../../inspect/probe/sent-chain.ts';
import { changeStore, etagOfValue, logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { placeAt, ruleAt, ruleFor } from '../rules.ts';
import { Authority, closed, failures, named, nullable, text } from '../schemas/common.ts';
import { RuleParams, RuleSchema } from '../schemas/store.ts';
import { anchorsOf, Uploads } from '../uploads.ts';

export const AnchorSchema = Type.Object(
  {
    file: Type.String({ description: 'As the store names it.' }),
    rules: Type.Array(Type.String(), { description: 'The rules that name it, as `HOST:PORT`.' }),
    everywhere: Type.Boolean({ description: 'Whether `trust.ca` names it, for every host.' }),
    certificates: Type.Array(named(FactsSchema)),
    problem: nullable(Type.String({ description: 'Why it can not be read now; what was read before stays in force.' })),
  },
  { ...closed, $id: 'Anchor', description: 'A file of CA certificates that the store names.' },
);
export type Anchor = Plain<typeof AnchorSchema>;

export const AnchorListSchema = Type.Object(
  { anchors: Type.Array(named(AnchorSchema), { description: 'In the order of the file.' }) },
  { ...closed, $id: 'AnchorList' },
);

const Fingerprint = Type.String({
  pattern: '^[0-9A-F]{2}(:[0-9A-F]{2}){31}$',
  description: 'SHA-256 of the certificate that is meant, as facts show it.',
  errorMessage: 'a SHA-256 fingerprint: 32 pairs of capital hexadecimal digits, separated by colons',
});
const AnchorBody = Type.Object(
  {
    cert_pem: Type.Optional(text('PEM text of CA certificates.', 'PEM text', { minLength: 1, maxLength: 500_000 })),
    authority: Type.Optional(Authority),
    fingerprint256: Type.Optional(Fingerprint),
    host: Type.Optional(RuleSchema.properties.host),
    port: RuleSchema.properties.port,
  },
  {
    ...closed,
    description:
      'cert_pem; or authority and fingerprint256: the certificate with that fingerprint out of the chain that the server sends now. With host (and port) only for that host, by its rule; else for every host.',
    errorMessage: 'an object with cert_pem, or with authority and fingerprint256',
  },
);
const tags = ['store'];

export const anchorRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const uploads = new Uploads(context.home);

  app.get(
    '/api/v1/trust/anchors',
    {
      schema: {
        operationId: 'listAnchors',
        summary: 'The CA files that the store names',
        description: 'With the certificates in each. The trust anchors of the system are not listed.',
        tags,
        response: { 200: named(AnchorListSchema), ...failures },
      },
    },
    async () => {
      const snapshot = context.store.current;
      const files = [...new Set(anchorsOf(snapshot))];
      return { anchors: await Promise.all(files.map((file) => describe(file, snapshot))) };
    },
  );

  app.post(
    '/api/v1/trust/anchors',
    {
      schema: {
        operationId: 'addAnchor',
        summary: 'Trust one more CA',
        description:
          'Kept in `files/`, and named under trust.ca or in the rule of the host. 200 where that is so already. 422 where it holds no CA certificate, or where the server sends none with that fingerprint.',
        tags,
        body: AnchorBody,
        response: { 200: named(AnchorSchema), 201: named(AnchorSchema), ...failures },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const pem = await pemOf(body);
      const host = body.host === undefined ? null : placeAt(body.host, body.port ?? 443);
      const { current } = context.store;
      const known = await alreadyTrusted(pem, host, current);
      if (known !== null) return describe(known, current);
      const file = await uploads.keep('ca', pem);
      try {
        const etagOf = (store: StoreSnapshot) =>
          etagOfValue(host ? (ruleAt(store, host) ?? null) : store.sections.trust);
        // The edit extends the current value, so it requires that value.
        const snapshot = await changeStore(
          context,
          { headers: { 'if-match': etagOf(current) } },
          {
            etagOf,
            edit: host
              ? { do: 'put-rule', rule: withAnchor(host, file, current) }
              : { do: 'set-trust', trust: added(current.sections.trust, file) },
          },
        );
        logChange(context, request, 'anchor.added', host ? { rule: hostPortText(host) } : {});
        void reply.code(201);
        return await describe(file, snapshot);
      } catch (error) {
        await uploads.discard([file]);
        throw error;
      }
    },
  );

  app.delete(
    '/api/v1/trust/anchors',
    {
      schema: {
        operationId: 'removeAnchor',
        summary: 'Stop trusting a CA',
        description:
          'Takes the file out of trust.ca, or with host (and port) out of that rule. A file in `files/` goes with the last place that names it; others stay on disk.',
        tags,
        querystring: Type.Object(
          {
            file: Type.String({ minLength: 1, maxLength: 4096, description: 'As the list names it.' }),
            host: Type.Optional(RuleSchema.properties.host),
            port: Type.Optional(RuleParams.properties.port),
          },
          closed,
        ),
        response: { 204: Type.Null({ description: 'Removed.' }), ...failures },
      },
    },
    async (request, reply) => {
      const { file, host, port = '443' } = request.query;
      const place = host === undefined ? null : placeAt(host, port === '*' ? '*' : Number(port));
      const { current } = context.store;
      const etagOf = (store: StoreSnapshot) =>
        etagOfValue(place ? (ruleAt(store, place) ?? null) : store.sections.trust);
      const edit = removalOf(place, file, current);
      const snapshot = await changeStore(context, { headers: { 'if-match': etagOf(current) } }, { etagOf, edit });
      await uploads.sweepFiles([file], snapshot);
      logChange(context, request, 'anchor.removed', place ? { rule: hostPortText(place) } : {});
      void reply.code(204);
      return null;
    },
  );

  async function pemOf({ cert_pem, authority, fingerprint256 }: Static<typeof AnchorBody>): Promise<string> {
    if (cert_pem !== undefined && authority === undefined) return checked(cert_pem);
    if (cert_pem !== undefined || authority === undefined || fingerprint256 === undefined)
      throw new AdminError(
        'BAD_REQUEST',
        'it is not said what to trust',
        'give cert_pem, or authority and fingerprint256',
      );
    const place = parseAuthority(authority, 443);
    const { serverName } = context.store.current.choosePolicy(place);
    const chain = await sentChain({
      connect: () => context.connect(place),
      serverName: serverName ?? place.host,
      timeoutMs: context.tlsTimeoutMs,
    });
    const wanted = chain.find((each) => each.fingerprint256 === fingerprint256);
    if (wanted) return wanted.toString();
    throw new AdminError(
      'NOT_SENT',
      `${place.text} sends no certificate with that fingerprint${chain.length === 0 ? ', and none at all' : ''}`,
      'look at what it sends now with POST /api/v1/probe, or give cert_pem',
    );
  }

  /** The file that holds just these for that place. */
  async function alreadyTrusted(pem: string, host: HostPort | null, store: StoreSnapshot): Promise<string | null> {
    const wanted = loadTrust({ system: false, ca: [{ pem, file: 'cert_pem' }] }).id;
    const trust = host ? ruleAt(store, host)?.trust : store.sections.trust;
    for (const file of trust?.ca ?? []) {
      const content = await readAnchorFile(path.resolve(context.home, file)).catch(() => null);
      if (content !== null && loadTrust({ system: false, ca: [{ pem: content, file }] }).id === wanted) return file;
    }
    return null;
  }

  async function describe(file: string, { sections }: StoreSnapshot): Promise<Anchor> {
    const names = (trust: TrustFields | undefined): boolean => trust?.ca?.includes(file) ?? false;
    const { certificates, problem } = await read(path.resolve(context.home, file));
    return {
      file,
      everywhere: names(sections.trust),
      rules: sections.verification.rules.filter(({ trust }) => names(trust)).map((rule) => hostPortText(placeOf(rule))),
      certificates,
      problem,
    };
  }
};

/** @throws AdminError 422 */
function checked(pem: string): string {
  const { certificates } = loadTrust({ system: false, ca: [{ pem, file: 'cert_pem' }] });
  const leaf = certificates.find((certificate) => !isAnchor(certificate));
  if (!leaf) return pem;
  throw new AdminError(
    'NO_CA',
    `${certificateFacts(leaf).subject} is not a CA certificate`,
    'give the certificate of the CA that issued it',
  );
}

/** A self-signed server certificate vouches only for itself: this is how a device without a CA is trusted. */
const isAnchor = (certificate: X509Certificate): boolean => certificate.ca || certificateFacts(certificate).self_signed;

async function read(file: string): Promise<{ certificates: readonly CertificateFacts[]; problem: string | null }> {
  try {
    const pem = await readAnchorFile(file);
    return {
      certificates: loadTrust({ system: false, ca: [{ pem, file }] }).certificates.map(certificateFacts),
      problem: null,
    };
  } catch (error) {
    return { certificates: [], problem: error instanceof Error ? error.message : String(error) };
  }
}

/** A rule's trust replaces the one for every host, so it starts from a copy of that. */
function withAnchor(place: HostPort, file: string, store: StoreSnapshot): RuleFields {
  const rule = ruleFor(store, place);
  return { ...rule, ...place, trust: added(rule?.trust ?? store.sections.trust, file) };
}

/** @throws AdminError 404 where it is not named there */
function removalOf(place: HostPort | null, file: string, store: StoreSnapshot): StoreEdit {
  const { trust } = store.sections;
  const rule = place ? ruleAt(store, place) : undefined;
  const before = place ? rule?.trust : trust;
  if (!before?.ca?.includes(file))
    throw new AdminError(
      'NOT_FOUND',
      `${file} is not trusted for ${place ? hostPortText(place) : 'every host'}`,
      'mtlsd trust list shows what is trusted',
    );
  const left = { ...before, ca: before.ca.filter((name) => name !== file) };
  if (!place || !rule) return { do: 'set-trust', trust: left };
  const { trust: _trust, ...rest } = rule;
  // Removes what adding made: a trust equal to that of every host, and a rule without any other setting.
  if (!isDeepStrictEqual({ crl: [], ...left }, { ...trust })) return { do: 'put-rule', rule: { ...rest, trust: left } };
  const { host: _host, port: _port, ...others } = rest;
  return Object.keys(others).length === 0 ? { do: 'remove-rule', ...place } : { do: 'put-rule', rule: rest };
}

/** Without an empty list of CRLs, which says nothing in the file. */
function added({ crl = [], ...trust }: TrustFields, file: string): TrustFields {
  return { ...trust, ca: [...(trust.ca ?? []), file], ...(crl.length > 0 && { crl }) };
}
