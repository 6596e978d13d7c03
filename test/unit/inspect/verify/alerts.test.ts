import { describe, expect, test } from 'vitest';
import { ALERTS, alertOf, explainAlert } from '../../../../src/inspect/verify/alerts.ts';

const asked = { requested: true, sent: false };
const presented = { requested: true, sent: true };
const unasked = { requested: false, sent: false };
const explain = (number: number, context = unasked) =>
  explainAlert({ number, name: ALERTS[number]?.name ?? '' }, context);

// RFC 8446 §6, the whole of AlertDescription.
const RFC_8446 = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
};

test.each(Object.entries(RFC_8446))('%s (%d) has its name, a meaning and a next step', (name, number) => {
  expect(ALERTS[number]).toMatchObject({
    name,
    meaning: expect.stringMatching(/^[a-z].{15,}[^.]$/),
    hint: expect.stringMatching(/^[a-z].{15,}[^.]$/),
  });
});

describe('alertOf', () => {
  test.each([
    'SSL routines:ssl3_read_bytes:ssl/tls alert certificate required:../deps/openssl/ssl/record/rec_layer_s3.c:918:SSL alert number 116\n',
    'error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert certificate required:ssl/record/rec_layer_s3.c:1546:SSL alert number 116',
  ])('reads the number, whatever the version calls it', (message) => {
    expect(alertOf(new Error(message))).toEqual({ number: 116, name: 'certificate_required' });
  });

  test('finds it in the cause', () => {
    const cause = new Error('SSL alert number 42');
    expect(alertOf(new Error('other side closed', { cause: new Error('x', { cause }) }))?.number).toBe(42);
  });

  test('is null for anything else, and stops in a ring of causes', () => {
    expect(alertOf(new Error('socket hang up'))).toBeNull();
    expect(alertOf('SSL alert number 42')).toBeNull();
    const ring = new Error('ring');
    ring.cause = ring;
    expect(alertOf(ring)).toBeNull();
  });

  test('names what no standard does by its number', () => {
    expect(alertOf(new Error('SSL alert number 99'))).toEqual({ number: 99, name: 'alert_99' });
    expect(explain(99).meaning).toContain('99');
  });
});

describe('explainAlert', () => {
  test.each([42, 43, 44, 45, 46, 48, 49, 116])(
    '%d after a certificate was sent is about that certificate',
    (number) => {
      expect(explain(number, presented)).toMatchObject({ about: 'client_certificate' });
      expect(explain(number, presented).meaning).toBe(ALERTS[number]?.meaning);
    },
  );

  test.each([40, 42, 46, 48, 49, 50, 116])(
    '%d after one was asked for and none sent means: one is required',
    (number) => {
      expect(explain(number, asked)).toMatchObject({
        about: 'client_certificate',
        meaning: expect.stringContaining('requires one'),
        hint: 'add a certificate for this host: mtlsd cert add HOST --cert FILE --key FILE',
      });
    },
  );

  test('40 is about ciphers before a certificate is asked for, and probably about the certificate after', () => {
    expect(explain(40, unasked)).toMatchObject({ about: 'protocol', meaning: expect.stringContaining('cipher') });
    expect(explain(40, presented)).toMatchObject({
      about: 'client_certificate',
      meaning: expect.stringContaining('probably refused'),
    });
    expect(explainAlert({ number: 40, name: 'handshake_failure' }, { requested: null, sent: false }).about).toBe(
      'protocol',
    );
  });

  test('a certificate alert when the end of the handshake could not be seen is about ours', () => {
    expect(explainAlert({ number: 48, name: 'unknown_ca' }, { requested: null, sent: false }).about).toBe(
      'client_certificate',
    );
  });

  test('version and name are distinguished', () => {
    expect(explain(70).about).toBe('version');
    expect(explain(112)).toMatchObject({ about: 'server_name', hint: expect.stringContaining('server_name') });
  });
});
