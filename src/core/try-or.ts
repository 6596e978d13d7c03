/** What a reading gives, or something else where it throws: for certificates and files that others made. */
export function tryOr<T, U>(reading: () => T, otherwise: U): T | U {
  try {
    return reading();
  } catch {
    return otherwise;
  }
}
