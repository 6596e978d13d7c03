/** The few answers that a browser shows without the page: one sentence, no script, no style. */
import type { FastifyReply } from 'fastify';

/** @param goOn loads the page at once; unlike a redirect it starts on this origin, so that the browser sends a SameSite=Strict cookie */
export function sendHtml(reply: FastifyReply, title: string, sentence: string, goOn = false): FastifyReply {
  const refresh = goOn ? '<meta http-equiv="refresh" content="0;url=/">' : '';
  return reply
    .header(
      'content-security-policy',
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    .type('text/html; charset=utf-8')
    .send(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">${refresh}
<title>${title} · mtlsd</title></head>
<body><h1>${title}</h1><p>${sentence}</p><p><a href="/">Open the page</a></p></body></html>
`);
}
