/** Bounds on what a peer can make a reader hold. */
export interface Limits {
  /** Bytes of a start line with its fields, line ends included; the same bound again for the trailers. */
  readonly headBytes: number;
}

/** RFC 9112 §7.1.1 asks for a limit. A signature with its name, the longest chunk extension in use, takes about 100. */
export const LINE_EXTENSION_BYTES = 1024;

/** The chunk extensions of one message, as in Node's own parser: they cost work and carry nothing. */
export const MESSAGE_EXTENSION_BYTES = 16 * 1024;

/** RFC 9112 §2.2 asks to ignore one empty line or more before a request line. Old clients send one after a body. */
export const EMPTY_LINES = 4;
