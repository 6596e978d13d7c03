import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../../src/core/errors.ts';

/** RFC 9209 §2.3 and the registry that it founds. */
const PROXY_ERROR_TYPES = new Set([
  'dns_timeout',
  'dns_error',
  'destination_not_found',
  'destination_unavailable',
  'destination_ip_prohibited',
  'destination_ip_unroutable',
  'connection_refused',
  'connection_terminated',
  'connection_timeout',
  'connection_read_timeout',
  'connection_write_timeout',
  'connection_limit_reached',
  'tls_protocol_error',
  'tls_certificate_error',
  'tls_alert_received',
  'http_request_error',
  'http_request_denied',
  'http_response_incomplete',
  'http_response_header_section_size',
  'http_response_header_size',
  'http_response_body_size',
  'http_response_trailer_section_size',
  'http_response_trailer_size',
  'http_response_transfer_coding',
  'http_response_content_coding',
  'http_response_timeout',
  'http_upgrade_failed',
  'http_protocol_error',
  'proxy_internal_response',
  'proxy_internal_error',
  'proxy_configuration_error',
  'proxy_loop_detected',
]);

test('docs/errors.md and the table of codes say the same', () => {
  const rows = readFileSync('docs/errors.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | '));
  const documented = rows.map(([code = '', side, status, token = '', meaning = '', hint = '']) => {
    expect(meaning.length).toBeGreaterThan(10);
    return {
      code: code.slice(3, -1),
      side,
      status: Number(status),
      proxyStatus: token.slice(1, -1),
      hint: hint.replace(/ \|$/, ''),
    };
  });
  expect(documented).toEqual(Object.entries(ERROR_CODES).map(([code, facts]) => ({ code, ...facts })));
});

test('every code is expected of a running daemon somewhere', () => {
  const folder = 'test/integration';
  const tests = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8').replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, ''))
    .join('\n');
  expect(Object.keys(ERROR_CODES).filter((code) => !new RegExp(`\\b${code}\\b`).test(tests))).toEqual([]);
});

test.each(Object.entries(ERROR_CODES))(
  '%s: a Proxy-Status type of RFC 9209, and an HTTP status',
  (_code, { proxyStatus, status }) => {
    expect(PROXY_ERROR_TYPES).toContain(proxyStatus);
    expect(status).toBeGreaterThanOrEqual(400);
  },
);
