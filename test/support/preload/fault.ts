/**
 * Loaded into a daemon with NODE_OPTIONS before its own code: makes it fail as an unexpected message would.
 *
 * - FAULT_AT="module:path.of.method @ file": a method of Node's throws when code of that file calls it.
 * - SIGUSR2: throws in a callback that belongs to nothing. FAULT_KIND=rejection: rejects a promise without a handler.
 */
import { createRequire } from 'node:module';

type Method = (this: unknown, ...args: unknown[]) => unknown;

const require = createRequire(import.meta.url);
const [, module = '', path = '', file = ''] = /^(\w+):([\w.]+) @ (\S+)$/.exec(process.env.FAULT_AT ?? '') ?? [];

if (file !== '') {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let owner = (module === 'global' ? globalThis : require(`node:${module}`)) as Record<string, unknown>;
  for (const name of names) owner = owner[name] as Record<string, unknown>;
  const original = owner[last] as Method;
  owner[last] = function (this: unknown, ...args: unknown[]) {
    if (new Error('where').stack?.includes(file)) throw new Error('injected');
    return original.apply(this, args);
  };
}

process.on('SIGUSR2', () => {
  if (process.env.FAULT_KIND === 'rejection') void Promise.reject(new Error('injected'));
  else
    setImmediate(() => {
      throw new Error('injected');
    });
});
