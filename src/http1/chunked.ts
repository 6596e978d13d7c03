/** The chunked transfer coding (RFC 9112 §7.1). */
import { byteName, type Http1Error, malformed } from './errors.ts';
import { CR, HEX, HTAB, LF, SEMICOLON, VALUE } from './grammar.ts';
import type { Head } from './head.ts';
import type { Input } from './input.ts';
import { LINE_EXTENSION_BYTES, MESSAGE_EXTENSION_BYTES } from './limits.ts';

/** What is expected next. */
type State = 'size' | 'extension' | 'size LF' | 'data' | 'data CR' | 'data LF' | 'trailers';

/** 13 digits count to 2^52 - 1: one more could be rounded. */
const SIZE_DIGITS = 13;

/** RFC 9112 §7.1.1, without the whitespace that it has "for historical reasons". A quoted-string never spans lines. */
const EXTENSIONS = /^(?:;[!#$%&'*+\-.^_`|~\w]+(?:=(?:[!#$%&'*+\-.^_`|~\w]+|"(?:[^"\\]|\\.)*"))?)*$/;

export class ChunkedBody {
  readonly #head: Head;
  #state: State = 'size';
  /** What is left of a chunk. */
  #size = 0;
  /** The digits of a size, or its extensions. */
  #text = '';
  #extensionBytes = 0;

  /** `head` reads the trailers. */
  constructor(head: Head) {
    this.#head = head;
  }

  begin(): void {
    this.#state = 'size';
    this.#extensionBytes = 0;
  }

  /** Data, or the trailers at the end; null where more bytes are needed. Throws Http1Error. */
  next(input: Input): Buffer | string[] | null {
    while (!input.empty) {
      if (this.#state === 'trailers') return this.#head.read(input) ? this.#head.fields() : null;
      if (this.#state === 'data') {
        const piece = input.take(this.#size) as Buffer;
        this.#size -= piece.length;
        if (this.#size === 0) this.#state = 'data CR';
        return piece;
      }
      this.#state = this.#after(input.bytes[input.at] as number);
      input.moveTo(input.at + 1);
    }
    return null;
  }

  /** The state after one byte of what surrounds the data. */
  #after(byte: number): State {
    switch (this.#state) {
      case 'size':
        if (HEX[byte] === 1 && this.#text.length < SIZE_DIGITS) {
          this.#text += String.fromCharCode(byte);
          return 'size';
        }
        // Whitespace is refused here, too: parsers disagree about it.
        if (this.#text === '' || (byte !== CR && byte !== SEMICOLON)) throw refused(byte, 'in a chunk size');
        this.#size = Number.parseInt(this.#text, 16);
        this.#text = '';
        return byte === CR ? 'size LF' : this.#extend(byte);
      case 'extension':
        if (byte !== CR) return this.#extend(byte);
        if (!EXTENSIONS.test(this.#text)) throw malformed('an invalid chunk extension (RFC 9112 §7.1.1)');
        this.#text = '';
        return 'size LF';
      case 'size LF':
        if (byte !== LF) throw malformed('a bare CR after a chunk size (RFC 9112 §2.2)');
        if (this.#size > 0) return 'data';
        this.#head.begin('trailers');
        return 'trailers';
      case 'data CR':
        // RFC 9112 §7.1: exactly CR LF, or the size was not what the sender meant.
        if (byte !== CR) throw refused(byte, 'after the data of a chunk');
        return 'data LF';
      default:
        if (byte !== LF) throw malformed('a bare CR after the data of a chunk (RFC 9112 §2.2)');
        return 'size';
    }
  }

  #extend(byte: number): State {
    if (VALUE[byte] !== 1 || byte === HTAB) throw refused(byte, 'in a chunk extension');
    this.#text += String.fromCharCode(byte);
    if (this.#text.length > LINE_EXTENSION_BYTES || ++this.#extensionBytes > MESSAGE_EXTENSION_BYTES) {
      throw malformed('too long chunk extensions (RFC 9112 §7.1.1)');
    }
    return 'extension';
  }
}

function refused(byte: number, place: string): Http1Error {
  return malformed(byte === LF ? `a bare LF ${place} (RFC 9112 §2.2)` : `${byteName(byte)} ${place} (RFC 9112 §7.1)`);
}
