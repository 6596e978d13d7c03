/** The OpenAPI 3.1 document, made from the routes. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';

export function openapiOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'mtlsd admin API',
        summary: 'Certificates, verification and records of a local mTLS forward proxy.',
        description:
          'Listens on loopback or a UNIX socket only. All but the open routes want `Authorization: Bearer` with the content of `admin.token` in the home folder. Errors are RFC 9457.',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
      },
      servers: [{ url: 'http://127.0.0.1:8741', description: 'The default address.' }],
      security: [{ token: [] }],
      tags: [
        { name: 'certificates', description: 'The entries of the store.' },
        { name: 'store', description: 'The rest of the store.' },
        { name: 'inspect', description: 'Dry runs and looks at servers.' },
        { name: 'records', description: 'What happened.' },
        { name: 'ca', description: 'The rotation of the local CA.' },
        { name: 'daemon', description: 'The daemon itself.' },
        { name: 'open', description: 'Readable without a token.' },
      ],
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'The content of admin.token.' } },
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === 'string' ? json.$id : `definition-${index}`,
    },
    transformObject: (document) => {
      const made = 'openapiObject' in document ? document.openapiObject : document.swaggerObject;
      return withoutOwnKeywords(made) as typeof made;
    },
  };
}

/** `errorMessage` is for our own validation, and no keyword of JSON Schema; the name of a component is its key. */
function withoutOwnKeywords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutOwnKeywords);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => !((key === 'errorMessage' || key === '$id') && typeof inner === 'string'))
      .map(([key, inner]) => [key, withoutOwnKeywords(inner)]),
  );
}
