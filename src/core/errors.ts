/**
 * Failures that people see: a code, what happened, and what to do next. `ERROR_CODES` is the table of those that the
 * proxy answers with; `docs/errors.md` is held to it by a test.
 */

/** The side that caused it: decides the wording, and whether a retry can help. */
export type Side = 'client' | 'origin' | 'mtlsd';

interface CodeFacts {
  readonly side: Side;
  /** HTTP status of the answer in the origin's place. */
  readonly status: number;
  /** RFC 9209 §2.3 proxy error type. */
  readonly proxyStatus: string;
  /** What to do next, where the error has no better hint. */
  readonly hint: string;
}

// biome-ignore format: a table reads best as a table
export const ERROR_CODES = {
  BAD_AUTHORITY: { side: 'client', status: 400, proxyStatus: 'http_request_error', hint: 'send CONNECT host:port, or a request with an absolute URI' },
  BAD_REQUEST: { side: 'client', status: 400, proxyStatus: 'http_request_error', hint: 'check the request that your client sends: it breaks RFC 9112' },
  REQUEST_TIMEOUT: { side: 'client', status: 408, proxyStatus: 'http_request_error', hint: 'send the fields at once, or raise timeouts.request in mtlsd.yaml' },
  REQUEST_TOO_LARGE: { side: 'client', status: 431, proxyStatus: 'http_request_error', hint: 'shorten the request fields, or raise limits.header_bytes in mtlsd.yaml' },
  CLIENT_TLS_FAILED: { side: 'client', status: 400, proxyStatus: 'http_request_error', hint: 'make the client trust the local CA: mtlsd env, or mtlsd ca path; in a browser, open http://mtlsd.test/' },
  MISDIRECTED_REQUEST: { side: 'client', status: 421, proxyStatus: 'http_request_error', hint: 'send the request on a connection to that authority' },
  PROXY_AUTHENTICATION_REQUIRED: { side: 'client', status: 407, proxyStatus: 'http_request_denied', hint: 'give the proxy credentials that mtlsd.yaml names under auth' },
  POLICY_REFUSED: { side: 'mtlsd', status: 403, proxyStatus: 'http_request_denied', hint: 'mtlsd match URL shows the rule that refused it' },
  LOOP_DETECTED: { side: 'client', status: 508, proxyStatus: 'proxy_loop_detected', hint: 'the request came back to this proxy: remove the proxy setting from the program that sent it' },
  DNS_FAILED: { side: 'origin', status: 502, proxyStatus: 'dns_error', hint: 'check the name, and that this machine can resolve it' },
  DNS_TIMEOUT: { side: 'origin', status: 504, proxyStatus: 'dns_timeout', hint: 'check that this machine reaches its name servers' },
  CONNECTION_REFUSED: { side: 'origin', status: 502, proxyStatus: 'connection_refused', hint: 'check the port, and that the server is up' },
  CONNECTION_TIMEOUT: { side: 'origin', status: 504, proxyStatus: 'connection_timeout', hint: 'check that a firewall or VPN lets this machine reach the server' },
  CONNECTION_FAILED: { side: 'origin', status: 502, proxyStatus: 'destination_ip_unroutable', hint: 'check the network, the route and any VPN' },
  CONNECTION_CLOSED: { side: 'origin', status: 502, proxyStatus: 'connection_terminated', hint: 'look at the log of the server' },
  RESPONSE_TIMEOUT: { side: 'origin', status: 504, proxyStatus: 'http_response_timeout', hint: 'raise timeouts.response in mtlsd.yaml if the server needs longer' },
  RESPONSE_INVALID: { side: 'origin', status: 502, proxyStatus: 'http_protocol_error', hint: 'check the server and any middlebox before it: the response is not valid HTTP' },
  TLS_FAILED: { side: 'origin', status: 502, proxyStatus: 'tls_protocol_error', hint: 'mtlsd probe URL shows what the server offers' },
  TLS_TIMEOUT: { side: 'origin', status: 504, proxyStatus: 'connection_timeout', hint: 'check that this port speaks TLS, and the load of the server: it did not finish the TLS handshake' },
  SERVER_CERTIFICATE_REJECTED: { side: 'origin', status: 502, proxyStatus: 'tls_certificate_error', hint: 'mtlsd probe URL shows what is wrong with its certificate' },
  CLIENT_CERTIFICATE_REQUIRED: { side: 'origin', status: 502, proxyStatus: 'tls_alert_received', hint: 'add a certificate for this host: mtlsd cert add HOST --cert FILE --key FILE' },
  CLIENT_CERTIFICATE_REFUSED: { side: 'origin', status: 502, proxyStatus: 'tls_alert_received', hint: 'ask the server\'s operator which CA it accepts' },
  CLIENT_CERTIFICATE_UNUSABLE: { side: 'mtlsd', status: 502, proxyStatus: 'proxy_configuration_error', hint: 'mtlsd cert show NAME says what is wrong with it' },
  CLIENT_CERTIFICATE_UNKNOWN: { side: 'client', status: 502, proxyStatus: 'proxy_configuration_error', hint: 'mtlsd cert list shows the names' },
  UPSTREAM_PROXY_FAILED: { side: 'origin', status: 502, proxyStatus: 'proxy_internal_error', hint: 'check upstream_proxy in mtlsd.yaml, and that proxy\'s log' },
  UPSTREAM_PROXY_AUTHENTICATION: { side: 'mtlsd', status: 502, proxyStatus: 'proxy_configuration_error', hint: 'the upstream proxy requires credentials: set them in upstream_proxy' },
  CLIENT_GONE: { side: 'client', status: 499, proxyStatus: 'http_request_error', hint: 'nothing, if you ended the client; else raise the client\'s time-out' },
  OVERLOADED: { side: 'mtlsd', status: 503, proxyStatus: 'connection_limit_reached', hint: 'raise limits.connections in mtlsd.yaml, or close idle connections' },
  BAD_CONFIGURATION: { side: 'mtlsd', status: 500, proxyStatus: 'proxy_configuration_error', hint: 'correct the file at the place named' },
  INTERNAL: { side: 'mtlsd', status: 500, proxyStatus: 'proxy_internal_error', hint: 'this is a fault of mtlsd; please report it with the log line of this exchange' },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * One thing found wrong with a TLS connection. `code` is OpenSSL's or Node's own name. A mistake in a file is a `FileProblem`
 * instead: it has a place and no code, and `expected` completes its sentence.
 */
export interface Problem {
  readonly code: string;
  /** Place in the chain, 0 the leaf; null where it is about the connection. */
  readonly depth: number | null;
  readonly subject: string | null;
  /** One sentence with the data: names, dates, sizes. */
  readonly message: string;
  /** What to do next; lower case, no full stop. */
  readonly hint: string;
  /** True where a rule's `allow` list let it through. */
  readonly allowed?: boolean;
}

/** A TLS alert that the other side sent, RFC 8446 §6. */
export interface Alert {
  readonly number: number;
  /** The RFC's name: `certificate_required`. */
  readonly name: string;
}

/** With its meaning at that point of the handshake, which differs before and after a certificate was requested. */
export type ToldAlert = Alert & { readonly meaning: string };

export interface ErrorData {
  /** What to do next, when more is known than the table does. */
  hint?: string;
  problems?: readonly Problem[];
  alert?: ToldAlert | null;
  /** The outcome for the client certificate, as one sentence. */
  certificate?: string;
  /** Id of the connection record with more details. */
  connection?: string;
  /** True only where it is sure that nothing of the request reached the origin. */
  nothingSent?: boolean;
  cause?: unknown;
}

/** The data of a failure, as it crosses to another thread. */
export interface FailureData<C extends string = string> {
  readonly code: C;
  readonly message: string;
  readonly hint: string;
  /** The file that it is about. */
  readonly file: string | null;
  /** One line per mistake, where there are several. */
  readonly details: readonly string[];
}

export class CodedError<C extends string = string> extends Error {
  readonly code: C;
  readonly hint: string;
  readonly file: string | null;
  readonly details: readonly string[];

  /** @param message one sentence, lower case, no full stop: what happened and to what */
  constructor(
    code: C,
    message: string,
    hint: string,
    data: { readonly file?: string | null; readonly details?: readonly string[]; readonly cause?: unknown } = {},
  ) {
    super(message, data.cause === undefined ? undefined : { cause: data.cause });
    this.name = code;
    this.code = code;
    this.hint = hint;
    this.file = data.file ?? null;
    this.details = data.details ?? [];
  }

  static from<C extends string>({ code, message, hint, ...data }: FailureData<C>): CodedError<C> {
    return new CodedError(code, message, hint, data);
  }

  get data(): FailureData<C> {
    const { code, message, hint, file, details } = this;
    return { code, message, hint, file, details };
  }
}

export class MtlsdError extends CodedError<ErrorCode> {
  readonly problems: readonly Problem[];
  readonly alert: ToldAlert | null;
  readonly certificate: string | null;
  readonly connection: string | null;
  readonly nothingSent: boolean;

  /** @param message as of CodedError */
  constructor(code: ErrorCode, message: string, data: ErrorData = {}) {
    super(code, message, data.hint ?? ERROR_CODES[code].hint, { cause: data.cause });
    this.name = 'MtlsdError';
    this.problems = data.problems ?? [];
    this.alert = data.alert ?? null;
    this.certificate = data.certificate ?? null;
    this.connection = data.connection ?? null;
    this.nothingSent = data.nothingSent ?? false;
  }

  get side(): Side {
    return ERROR_CODES[this.code].side;
  }
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
  get proxyStatus(): string {
    return ERROR_CODES[this.code].proxyStatus;
  }
}

/** An invalid file, setting, flag or address. @param hint the table's where left out */
export function badConfiguration(message: string, hint?: string, cause?: unknown): MtlsdError {
  return new MtlsdError('BAD_CONFIGURATION', message, { ...(hint !== undefined && { hint }), cause });
}

/** A hint with the commands in it made ready to type for one authority. */
export function hintAt(hint: string, authority: string): string {
  const host = authority.replace(/:443$/, '');
  return hint
    .replaceAll(/mtlsd (probe|match) URL/g, `mtlsd $1 https://${host}/`)
    .replaceAll(/(mtlsd cert add|--host) HOST\b/g, `$1 ${host}`);
}

/** What `interception` refuses. Its hint is typed as it is, also where no exchange fills in the host. */
export function policyRefused(authority: string, why: string): MtlsdError {
  const hint = hintAt(ERROR_CODES.POLICY_REFUSED.hint, authority);
  return new MtlsdError('POLICY_REFUSED', `${authority} is refused: ${why}`, { hint });
}

/** The error as one of ours: unknown ones become INTERNAL, with the original as cause. */
export function asMtlsdError(error: unknown): MtlsdError {
  if (error instanceof MtlsdError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MtlsdError('INTERNAL', message, { cause: error });
}

/** `error.code` of a Node system or OpenSSL error, where it has one. */
export function nativeCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
