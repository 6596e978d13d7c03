/** http-mitm-proxy with a kept-alive agent that shows the client certificate. */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import type { ProgramOptions } from '../candidates/node-program.ts';

interface Library {
  readonly Proxy: new () => {
    onError(handler: (context: unknown, error: Error) => void): void;
    listen(options: object): void;
  };
}

const { port, dir, cert, key, ca } = JSON.parse(process.argv[2] ?? '') as ProgramOptions;
// The name in a variable: the root install, which the type check works on, does not have the package.
const name = 'http-mitm-proxy';
const { Proxy } = (await import(name)) as Library;
const proxy = new Proxy();
proxy.onError(() => {});
proxy.listen({
  host: '127.0.0.1',
  port,
  sslCaDir: dir,
  keepAlive: true,
  httpsAgent: new Agent({
    keepAlive: true,
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
  }),
});
