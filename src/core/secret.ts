import { inspect } from 'node:util';

/**
 * A value that no log, error, event or JSON ever shows: redaction by type, so that no code has to remember it.
 * `reveal()` is the one way in; search for it to see every place that a secret goes.
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}
