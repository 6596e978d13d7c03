/**
 * Header fields of requests and responses, as received; never in a log line, an event or a record. Secrets are replaced before
 * fields are kept, so that a memory dump holds none unless the settings keep them.
 */

/** `none` keeps no field, `redacted` keeps them without secrets, `all` keeps them as they are. */
export type FieldPolicy = 'none' | 'redacted' | 'all';

export interface RecordedHead {
  /** Flat `[name, value, …]`, in the order and case of the wire. */
  readonly fields: readonly string[];
  /** The whole head, first line and last line end included; null where that is not known, as in HTTP/2. */
  readonly bytes: number | null;
  /** So many fields were left out, because there was no room for them. */
  readonly omitted: number;
}

export interface RecordedFields {
  readonly request: RecordedHead;
  /** Of the daemon's own answer where the origin sent none; null where no answer was sent. */
  readonly response: RecordedHead | null;
}

/** Replaces a secret. */
const REDACTED = '[redacted]';

/** Of one head: servers take 8 KiB (Apache, nginx) to 16 KiB (Node) of a request. */
const MOST_BYTES = 16 * 1024;

/** Names that hold credentials, or are likely to. Lower case. */
const SECRET_NAME =
  /authoriz|authentication|cookie|token|secret|passw|passphrase|credential|session|signature|jwt|assertion|api[-_]?key|key$|(?:^|[-_])(?:auth|pass|pwd|sig|otp)(?:[-_]|$)|^dpop$|^sec-websocket-protocol$/;
/** These say what a server asks for; only a step of Negotiate or NTLM (RFC 4559 §4) carries a secret. */
const CHALLENGE = /^(?:www|proxy)-authenticate$/;
const SECRET_STEP = /^(?:negotiate|ntlm)\s+\S/i;
/** Credentials under whatever name: a scheme with its value, and a JSON Web Token. */
const SECRET_VALUE = /^(?:bearer|basic|digest|negotiate|ntlm)\s+\S|(?<![\w-])eyJ[\w-]{10,}\./i;
/** Values that hold a URL: its query is left out, as in log and records. */
const URL_NAME = /location$|^referer$|^refresh$|^link$|ur[il]$|path$/;

/** @param bytes of the head, where known */
export function keepHead(received: readonly string[], bytes: number | null, policy: FieldPolicy): RecordedHead {
  const fields: string[] = [];
  let room = MOST_BYTES;
  let omitted = 0;
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] as string;
    const value = received[i + 1] as string;
    const size = name.length + value.length + 4;
    if (size > room) omitted += 1;
    else {
      room -= size;
      fields.push(name, policy === 'all' ? value : withoutSecrets(name, value));
    }
  }
  return { fields, bytes, omitted };
}

/** The fields without secrets; unchanged where they were redacted before. */
export function redactFields({ request, response }: RecordedFields): RecordedFields {
  return { request: redactHead(request), response: response && redactHead(response) };
}

/** Flat list -> pairs. */
export function pairsOf(fields: readonly string[]): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < fields.length; i += 2) pairs.push([fields[i] as string, fields[i + 1] as string]);
  return pairs;
}

function redactHead({ fields, bytes, omitted }: RecordedHead): RecordedHead {
  const shown = fields.map((text, i) => (i % 2 === 0 ? text : withoutSecrets(fields[i - 1] as string, text)));
  return { fields: shown, bytes, omitted };
}

function withoutSecrets(name: string, value: string): string {
  const lower = name.toLowerCase();
  if (CHALLENGE.test(lower)) return SECRET_STEP.test(value) ? REDACTED : value;
  if (SECRET_NAME.test(lower) || SECRET_VALUE.test(value)) return REDACTED;
  return URL_NAME.test(lower) || value.includes('://') ? withoutQuery(value) : value;
}

function withoutQuery(url: string): string {
  return url.replace(/[?#][^\s>,;"']*/g, `?${REDACTED}`).replace(/\/\/[^/@\s]*@/g, '//');
}
