import { expect, test } from 'vitest';
import { MtlsdError } from '../../../../src/core/errors.ts';
import { explain } from '../../../../src/proxy/failure/explain.ts';
import { StreamFailure } from '../../../../src/proxy/upstream/stream.ts';
import { connectionRecord } from '../../../support/records.ts';

const where = 'api.example:443';
const client = (sent: boolean) =>
  connectionRecord({
    client_certificate: {
      ...connectionRecord({}).client_certificate,
      requested: true,
      sent,
      name: sent ? 'alice' : null,
    },
  });
const via = (sent: boolean, inDoubt: boolean, error: Error | null = null) => ({ record: client(sent), error, inDoubt });
const closed = new StreamFailure('closed', 'the connection ended');
const alert = (number: number): Error => new Error(`error:0A000000:SSL routines::reason:SSL alert number ${number}`);

test.each([
  ['an error that is explained already', new MtlsdError('DNS_FAILED', 'x'), via(true, false), 'DNS_FAILED'],
  ['what is not HTTP', new StreamFailure('invalid', 'a bare LF'), via(true, false), 'RESPONSE_INVALID'],
  ['a reset', StreamFailure.reset(8), via(true, false), 'CONNECTION_CLOSED'],
  ['a close long after the handshake', closed, via(true, false), 'CONNECTION_CLOSED'],
  ['a close while the server may still judge our certificate', closed, via(true, true), 'CLIENT_CERTIFICATE_REFUSED'],
  ['the same without a certificate', closed, via(false, true), 'CLIENT_CERTIFICATE_REQUIRED'],
  ['an alert on the certificate', closed, via(true, false, alert(48)), 'CLIENT_CERTIFICATE_REFUSED'],
  ['the alert certificate_required', closed, via(false, false, alert(116)), 'CLIENT_CERTIFICATE_REQUIRED'],
  ['an alert on something else', closed, via(true, false, alert(80)), 'TLS_FAILED'],
] as const)('%s', (_name, error, connection, code) => {
  expect(explain(error, { where, via: connection, reused: false, responded: false }).code).toBe(code);
});

test('a reused connection that closes says nothing about the certificate', () => {
  expect(explain(closed, { where, via: via(true, true), reused: true, responded: false }).code).toBe(
    'CONNECTION_CLOSED',
  );
});
