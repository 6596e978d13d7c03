import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ADMIN_CODES, AdminError, asAdminError } from '../../../src/admin/problem.ts';
import { RenewalFault } from '../../../src/certs/renewal/fault.ts';
import { CodedError, MtlsdError } from '../../../src/core/errors.ts';

describe('the codes of the admin API', () => {
  test('are those of docs/admin-api.md, with their statuses', () => {
    const text = readFileSync(new URL('../../../docs/admin-api.md', import.meta.url), 'utf8');
    const documented = [...text.matchAll(/^\| (\d{3}) \| (.*?) \|/gm)].flatMap(([, status, codes = '']) =>
      [...codes.matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => [code, Number(status)] as const),
    );
    // Codes of other tables, with which this API answers too.
    const foreign = ['BAD_AUTHORITY', 'KEY_MISMATCH', 'CLIENT_CERTIFICATE_UNKNOWN'];
    const own = Object.fromEntries(documented.filter(([code]) => !foreign.includes(code)));
    expect(own).toEqual(ADMIN_CODES);
  });
});

test.each([
  [new CodedError('NAME_TAKEN', 'taken', 'take another', { details: ['a', 'b'] }), 409, 'NAME_TAKEN', ['a', 'b']],
  [new MtlsdError('BAD_AUTHORITY', 'no port'), 400, 'BAD_AUTHORITY', null],
  [new MtlsdError('CLIENT_CERTIFICATE_UNKNOWN', 'none'), 422, 'CLIENT_CERTIFICATE_UNKNOWN', null],
  [new RenewalFault('KEY_MISMATCH', 'another key'), 502, 'KEY_MISMATCH', null],
  [new RenewalFault('CA_TIMEOUT', 'no answer'), 504, 'CA_TIMEOUT', null],
  [new AdminError('TOKEN_REQUIRED', 'no', 'do', { status: 403 }), 403, 'TOKEN_REQUIRED', null],
  [Object.assign(new Error('x'), { statusCode: 413 }), 413, 'BODY_TOO_LARGE', null],
  [Object.assign(new Error('x'), { statusCode: 405 }), 405, 'BAD_REQUEST', null],
])('%o is answered with %i', (error, status, code, problems) => {
  expect(asAdminError(error)).toMatchObject({ status, code, problems });
});

test.each([new Error('a path of this machine'), new CodedError('KEY_MISMATCH', 'a path of this machine', '')])(
  'a fault says nothing of itself: %o',
  (error) => {
    const { status, code, message } = asAdminError(error);
    expect([status, code, message]).toEqual([500, 'INTERNAL', 'the admin API failed']);
  },
);
