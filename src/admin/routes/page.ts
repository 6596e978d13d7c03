/** The web page: static files, open to everybody since nothing in them is secret; what they show comes from the API. */
import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import path from 'node:path';
import { nativeCode } from '../../core/errors.ts';
import { AdminError } from '../problem.ts';
import { sendHtml } from '../html.ts';

/** From src/ and from the bundle alike. */
const FOLDER = path.join(path.dirname(findPackageJSON('.', import.meta.url) ?? '.'), 'dist/ui');

/**
 * Nothing from elsewhere, nothing inline, no frames. `trusted-types 'none'`: no text ever becomes markup, so that a hostile
 * name in a certificate stays text even by mistake.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export const pageRoutes: FastifyPluginAsync = async (app) => {
  app.get('/', { schema: { hide: true } }, async (_request, reply) => {
    const html = await contentOf('index.html');
    if (html === null)
      return sendHtml(reply.code(503), 'The page is not built', 'In the checkout of mtlsd, run: npm run build');
    return reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(html);
  });

  app.get<{ Params: { file: string } }>('/assets/:file', { schema: { hide: true } }, ({ params }, reply) =>
    sendAsset(params.file, reply),
  );
};

async function sendAsset(file: string, reply: FastifyReply): Promise<unknown> {
  const type = /^[\w-]+(?:\.[\w-]+)+$/.test(file) ? TYPES[path.extname(file)] : undefined;
  const content = type === undefined ? null : await contentOf(`assets/${file}`);
  if (type === undefined || content === null)
    throw new AdminError('NOT_FOUND', 'there is no such asset', 'reload the page: a newer build replaced it');
  // The name holds a hash of the content.
  return reply.header('cache-control', 'private, max-age=31536000, immutable').type(type).send(content);
}

async function contentOf(file: string): Promise<Buffer | null> {
  try {
    return await readFile(path.join(FOLDER, file));
  } catch (error) {
    if (nativeCode(error) === 'ENOENT') return null;
    throw error;
  }
}
