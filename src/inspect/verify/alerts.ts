/**
 * TLS alerts (RFC 8446 §6.2, RFC 5246 §7.2.2 for those of older versions) as a person reads them. What an alert means
 * depends on the moment: 40 after the server asked for a certificate and got none says "certificate required", and before
 * that, that no cipher is shared.
 */
import type { Alert, ToldAlert } from '../../core/errors.ts';

/** What the alert is about: decides the error code. */
export type AlertSubject = 'client_certificate' | 'server_name' | 'version' | 'protocol' | 'server' | 'end';

export interface ExplainedAlert {
  /** What the other side says, as one clause. */
  readonly meaning: string;
  /** What to do next. */
  readonly hint: string;
  readonly about: AlertSubject;
}

export interface AlertContext {
  /** Whether the server asked for a client certificate; null where that is unknown. */
  readonly requested: boolean | null;
  /** Whether one was sent. */
  readonly sent: boolean;
}

interface AlertFacts {
  readonly name: string;
  readonly about: AlertSubject;
  readonly meaning: string;
  readonly hint: string;
}

const ASK_CA = "ask the server's operator which CAs it accepts; mtlsd probe URL shows their names";
const LOG = "look at the server's log for this moment";
const PROBE = 'mtlsd probe URL shows the versions and ciphers that the server supports';

// biome-ignore format: a table reads best as a table
export const ALERTS: Readonly<Record<number, AlertFacts>> = {
  0: { name: 'close_notify', about: 'end', meaning: 'the other side closed the connection normally', hint: 'nothing to do: this is not a failure of TLS' },
  10: { name: 'unexpected_message', about: 'protocol', meaning: 'a message arrived that is not allowed at that point', hint: 'check whether a device between this machine and the server changes TLS' },
  20: { name: 'bad_record_mac', about: 'protocol', meaning: 'a record was damaged in transit', hint: 'check whether a device between this machine and the server changes TLS' },
  21: { name: 'decryption_failed', about: 'protocol', meaning: 'a record could not be decrypted', hint: 'ask the server\'s operator to update it: it is very old' },
  22: { name: 'record_overflow', about: 'protocol', meaning: 'a record was longer than allowed', hint: 'check that the port speaks TLS' },
  30: { name: 'decompression_failure', about: 'protocol', meaning: 'compressed data could not be read', hint: 'ask the server\'s operator to update it: it is very old' },
  40: { name: 'handshake_failure', about: 'protocol', meaning: 'there is no cipher, group or signature algorithm that both sides support', hint: PROBE },
  41: { name: 'no_certificate', about: 'client_certificate', meaning: 'the server requires a client certificate', hint: 'add a certificate for this host: mtlsd cert add HOST --cert FILE --key FILE' },
  42: { name: 'bad_certificate', about: 'client_certificate', meaning: 'the server says that the client certificate is not valid', hint: ASK_CA },
  43: { name: 'unsupported_certificate', about: 'client_certificate', meaning: 'the server does not accept client certificates of this kind', hint: 'get a certificate with the extended key usage clientAuth, and with a kind of key that the server accepts' },
  44: { name: 'certificate_revoked', about: 'client_certificate', meaning: 'the client certificate was revoked', hint: 'ask its issuer for a new one, then: mtlsd cert set NAME --cert FILE --key FILE' },
  45: { name: 'certificate_expired', about: 'client_certificate', meaning: 'the client certificate has expired, or is not valid yet', hint: 'renew it, and replace its files; check the server\'s clock' },
  46: { name: 'certificate_unknown', about: 'client_certificate', meaning: 'the server does not accept the client certificate, and does not say why', hint: ASK_CA },
  47: { name: 'illegal_parameter', about: 'protocol', meaning: 'a field of the handshake was out of range', hint: LOG },
  48: { name: 'unknown_ca', about: 'client_certificate', meaning: 'the server does not know the CA that issued the client certificate', hint: `add the intermediates to the certificate's file; else ${ASK_CA}` },
  49: { name: 'access_denied', about: 'client_certificate', meaning: 'the server denies access to the client certificate', hint: 'ask the server\'s operator whether it trusts the CA of this certificate, and allows the certificate' },
  50: { name: 'decode_error', about: 'protocol', meaning: 'a message could not be read', hint: 'check that the port speaks TLS' },
  51: { name: 'decrypt_error', about: 'protocol', meaning: 'a signature or a finished message did not verify', hint: 'check whether a device between this machine and the server changes TLS' },
  60: { name: 'export_restriction', about: 'protocol', meaning: 'the server follows old export rules', hint: 'ask the server\'s operator to update it: it is very old' },
  70: { name: 'protocol_version', about: 'version', meaning: 'the server does not support the TLS versions that mtlsd offers', hint: 'mtlsd probe URL shows its versions; min_version in a rule allows an older one' },
  71: { name: 'insufficient_security', about: 'protocol', meaning: 'the server requires stronger ciphers than mtlsd offers', hint: PROBE },
  80: { name: 'internal_error', about: 'server', meaning: 'the server has an internal error', hint: LOG },
  86: { name: 'inappropriate_fallback', about: 'version', meaning: 'a retry with an older version looked like an attack to the server', hint: 'set min_version of the rule to what the server speaks' },
  90: { name: 'user_canceled', about: 'end', meaning: 'the other side cancelled the handshake', hint: LOG },
  100: { name: 'no_renegotiation', about: 'protocol', meaning: 'the other side does not renegotiate', hint: 'ask the server\'s operator to request the certificate in the handshake, not after the request' },
  109: { name: 'missing_extension', about: 'protocol', meaning: 'the handshake does not have an extension that the server requires', hint: LOG },
  110: { name: 'unsupported_extension', about: 'protocol', meaning: 'an extension was in a message where it is not allowed', hint: LOG },
  111: { name: 'certificate_unobtainable', about: 'client_certificate', meaning: 'the server could not fetch the client certificate from its URL', hint: LOG },
  112: { name: 'unrecognized_name', about: 'server_name', meaning: 'the server does not know the requested name', hint: 'check the name; server_name in a rule sends another one' },
  113: { name: 'bad_certificate_status_response', about: 'protocol', meaning: 'the OCSP staple is not valid', hint: LOG },
  114: { name: 'bad_certificate_hash_value', about: 'client_certificate', meaning: 'the client certificate at its URL is a different one', hint: LOG },
  115: { name: 'unknown_psk_identity', about: 'protocol', meaning: 'the server does not know this pre-shared key', hint: LOG },
  116: { name: 'certificate_required', about: 'client_certificate', meaning: 'the server requires a client certificate', hint: 'add a certificate for this host: mtlsd cert add HOST --cert FILE --key FILE' },
  120: { name: 'no_application_protocol', about: 'protocol', meaning: 'the server supports none of the offered protocols (ALPN)', hint: 'mtlsd probe URL shows the protocols that it supports' },
  121: { name: 'ech_required', about: 'protocol', meaning: 'the server requires an encrypted client hello', hint: 'not supported here; let the host pass untouched: interception.passthrough' },
};

/** Deeper than any chain of causes that Node or undici makes. */
const MOST_CAUSES = 5;

/**
 * The alert that ended a connection, from OpenSSL's error or one that it caused. The number is read from the message, since
 * the error codes differ from one Node version to the next (ERR_SSL_SSLV3_ALERT_… on 20, ERR_SSL_SSL/TLS_ALERT_… on 24).
 */
export function alertOf(error: unknown): Alert | null {
  let current = error;
  for (let depth = 0; depth < MOST_CAUSES && current instanceof Error; depth++) {
    const match = /SSL alert number (\d{1,3})/.exec(current.message);
    if (match) return alertOfNumber(Number(match[1]));
    current = current.cause;
  }
  return null;
}

function alertOfNumber(number: number): Alert {
  return { number, name: ALERTS[number]?.name ?? `alert_${number}` };
}

export function toldAlert(alert: Alert, context: AlertContext): ToldAlert {
  return { ...alert, meaning: explainAlert(alert, context).meaning };
}

/** The meaning of the alert at that point of the handshake, and the next step. */
export function explainAlert(alert: Alert, context: AlertContext): ExplainedAlert {
  const facts = ALERTS[alert.number];
  if (!facts) {
    const meaning = `the other side sent an alert that no standard defines: ${alert.number}`;
    return { meaning, hint: LOG, about: 'protocol' };
  }
  const { meaning, hint, about } = facts;
  if (about === 'client_certificate' && !context.sent && context.requested !== false) {
    return missing(alert);
  }
  if (context.requested === true && MAY_MEAN_CERTIFICATE.has(alert.number)) {
    return context.sent ? refused(meaning) : missing(alert);
  }
  return { meaning, hint, about };
}

/**
 * What servers also send once they have seen the client's certificate, or none: OpenSSL 40 on TLS 1.2, and 47 for a key on
 * a curve that it does not take, GnuTLS 50, and 51 where the signature over the handshake did not verify.
 */
const MAY_MEAN_CERTIFICATE = new Set([40, 47, 50, 51]);

function missing(alert: Alert): ExplainedAlert {
  const probably = alert.number === 116 || alert.number === 41 ? '' : 'probably ';
  return {
    meaning: `the server asked for a client certificate, got none, and ${probably}requires one`,
    hint: 'add a certificate for this host: mtlsd cert add HOST --cert FILE --key FILE',
    about: 'client_certificate',
  };
}

function refused(meaning: string): ExplainedAlert {
  return {
    meaning: `the server asked for a client certificate, was sent one, and probably refused it (${meaning})`,
    hint: ASK_CA,
    about: 'client_certificate',
  };
}
