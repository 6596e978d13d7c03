/** Faults from outside the product's own code, for tests of containment. */
const PRELOAD = new URL('preload/fault.ts', import.meta.url).href;

/** The environment of a daemon that fails as preload/fault.ts says. */
export function faultEnv(options: { readonly at?: string; readonly kind?: 'rejection' } = {}): NodeJS.ProcessEnv {
  return {
    NODE_OPTIONS: `--import ${PRELOAD}`,
    ...(options.at !== undefined && { FAULT_AT: options.at }),
    ...(options.kind !== undefined && { FAULT_KIND: options.kind }),
  };
}
