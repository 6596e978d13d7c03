/** PEM text -> its blocks (RFC 7468), with the leniency that files from five teams need. */
import { type CodedError } from '../../core/errors.ts';
import { firstElement } from '../../core/der.ts';
import { unusable } from './diagnosis.ts';

export interface PemBlock {
  readonly label: string;
  readonly der: Buffer;
  /** `Proc-Type`, `DEK-Info` of traditional encrypted keys (RFC 1421 §4.6). */
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * "Bag Attributes" and other text between blocks, CRLF, indentation and missing line breaks are passed over.
 * @throws CodedError FILE_TRUNCATED, FORMAT_UNKNOWN
 */
export function pemBlocks(text: string, file: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  const begin = /-----BEGIN ([A-Z0-9 ]{1,60})-----/g;
  for (let match = begin.exec(text); match; match = begin.exec(text)) {
    const label = match[1] ?? '';
    const start = match.index + match[0].length;
    const end = text.indexOf(`-----END ${label}-----`, start);
    const next = text.indexOf('-----BEGIN ', start);
    if (end === -1 || (next !== -1 && next < end)) {
      throw truncated(file, `the ${label} that starts on line ${lineOf(text, match.index)} has no END line`);
    }
    blocks.push(blockOf(label, text.slice(start, end), file, lineOf(text, match.index)));
    begin.lastIndex = end;
  }
  return blocks;
}

function blockOf(label: string, body: string, file: string, line: number): PemBlock {
  const headers = new Map<string, string>();
  const base64: string[] = [];
  for (const raw of body.split(/\r\n|\r|\n/)) {
    const header = /^\s*([A-Za-z-]+):\s*(.*?)\s*$/.exec(raw);
    if (header) headers.set(header[1] ?? '', header[2] ?? '');
    else base64.push(raw.trim());
  }
  const joined = base64.join('').replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(joined)) {
    throw unusable(
      'FORMAT_UNKNOWN',
      file,
      `the ${label} on line ${line} of ${file} is not base64`,
      'copy the file again, as it was handed out',
    );
  }
  const der = Buffer.from(joined, 'base64');
  const encrypted = headers.has('DEK-Info');
  const element = encrypted ? null : firstElement(der);
  if (!encrypted && !element?.whole) throw truncated(file, `the ${label} on line ${line} is cut off`);
  // A TRUSTED CERTIFICATE carries trust settings after the certificate (openssl x509 -addtrust); only the latter is wanted.
  return { label, der: element?.raw ?? der, headers };
}

function truncated(file: string, what: string): CodedError {
  return unusable('FILE_TRUNCATED', file, `${file} is truncated: ${what}`, 'copy the file again, as it was handed out');
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** DER as PEM with lines of 64 characters. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
