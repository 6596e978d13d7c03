/** Bounds on what a peer can make a reader hold. */
export interface Limits {
  /** Bytes of a start line with its fields, line ends included; the same bound again for the trailers. */
  readonly headBytes: number;
}

/** Extensions of one chunk (RFC 9112 §7.1.1 asks for a limit): a signature with its name takes about 100. */
export const CHUNK_EXTENSION_BYTES = 1024;

/** Extensions of one message, the limit that Node's own parser has: they cost work and carry nothing. */
export const MESSAGE_EXTENSION_BYTES = 16 * 1024;

/** Empty lines before a request line (RFC 9112 §2.2): old clients send one after a body, rarely two. */
export const EMPTY_LINES = 4;
