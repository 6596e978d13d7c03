/**
 * Containment: an error thrown inside a callback fails only the thing that the callback belongs to, once, and is reported as
 * `daemon.fault`. Sockets, streams, timers and promises call back through `enter` or `guard`; without them an unexpected message
 * ends the process.
 */
import { inspect } from 'node:util';

/** What can fail alone. */
export const FAULT_SCOPES = ['exchange', 'client', 'upstream', 'tunnel', 'probe', 'admin', 'reload', 'daemon'] as const;
export type FaultScope = (typeof FAULT_SCOPES)[number];

export interface Fault {
  readonly scope: FaultScope;
  /** Id of the record with more details: `x-…`, `c-…`, `t-…`; null where there is none. */
  readonly id: string | null;
  readonly error: unknown;
}

/** Logs and counts; never throws. */
export type ReportFault = (fault: Fault) => void;

export class Boundary {
  readonly #scope: FaultScope;
  readonly #report: ReportFault;
  readonly #fail: (error: unknown) => void;
  readonly #id: string | null;
  #failed = false;

  /** @param fail ends the thing; called at most once */
  constructor(scope: FaultScope, report: ReportFault, fail: (error: unknown) => void, id: string | null = null) {
    this.#scope = scope;
    this.#report = report;
    this.#fail = fail;
    this.#id = id;
  }

  /** Calls back inside the boundary; a returned promise is watched too. */
  enter(callback: () => unknown): void {
    this.guard(callback)();
  }

  /** The same callback, always entered. */
  guard<A extends unknown[]>(callback: (...args: A) => unknown): (...args: A) => void {
    return (...args) => {
      try {
        const result = callback(...args);
        if (result instanceof Promise) result.catch((error: unknown) => this.fault(error));
      } catch (error) {
        this.fault(error);
      }
    };
  }

  /** For a caller on the hot path that has its own try and catch. */
  fault(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#report({ scope: this.#scope, id: this.#id, error });
    try {
      this.#fail(error);
    } catch (second) {
      this.#report({ scope: this.#scope, id: this.#id, error: second });
    }
  }
}

/**
 * Wraps methods of our classes that others call back: what a method throws goes to `fault`. For objects too numerous for a
 * boundary and closures each.
 */
export function containMethods<T extends object>(
  prototype: T,
  names: readonly (keyof T & string)[],
  fault: (target: T, error: unknown) => void,
): void {
  for (const name of names) {
    const method = prototype[name] as (this: T, ...args: unknown[]) => void;
    const contained = function (this: T, ...args: unknown[]): void {
      try {
        method.apply(this, args);
      } catch (error) {
        fault(this, error);
      }
    };
    Object.defineProperty(prototype, name, { value: contained, configurable: true, writable: true });
  }
}

/** For a callback that is called again and again: each throw is reported, and the caller continues. */
export function contained<A extends unknown[]>(
  scope: FaultScope,
  report: ReportFault,
  callback: (...args: A) => unknown,
): (...args: A) => void {
  const caught = (error: unknown): void => report({ scope, id: null, error });
  return (...args) => {
    try {
      const result = callback(...args);
      if (result instanceof Promise) result.catch(caught);
    } catch (error) {
      caught(error);
    }
  };
}

/** An error may quote what a peer sent, and a stack of a deep recursion is long. */
const LONGEST_TEXT = 4000;

/** The fields of `daemon.fault`. Never throws, for any thrown value. */
export function faultFields({ scope, id, error }: Fault): {
  readonly scope: FaultScope;
  readonly id: string | null;
  readonly message: string;
  readonly stack: string | null;
} {
  const text = (read: () => unknown): string | null => {
    try {
      const value = read();
      if (value === undefined) return null;
      return (typeof value === 'string' ? value : inspect(value)).slice(0, LONGEST_TEXT);
    } catch {
      return null; // a getter or a toString that throws
    }
  };
  const isError = error instanceof Error;
  return {
    scope,
    id,
    message: text(() => (isError ? error.message : error)) ?? 'a value without text was thrown',
    stack: isError ? text(() => error.stack) : null,
  };
}
