/** A Name in DER as one line: servers name the CAs that they accept so. */
import { children, type Element, oidText } from '../../core/der.ts';
import { printable } from '../../core/facts.ts';

// RFC 4514 §3 and the three that certificates have beside them.
const SHORT_NAMES: Record<string, string> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

/** `CN=root, O=Example`, as certificate facts have it; `unreadable name` where it is damaged. */
export function distinguishedNameText(der: Buffer): string {
  try {
    const attributes = children(der).flatMap(({ raw }) => children(raw).map(attribute));
    if (!attributes[0]?.startsWith('CN=') || attributes.at(-1)?.startsWith('CN=')) attributes.reverse();
    return printable(attributes.join(', ')) || 'empty name';
  } catch {
    return 'unreadable name';
  }
}

function attribute({ raw }: Element): string {
  const [type, value] = children(raw);
  if (!type || !value) throw new RangeError('an attribute has no value');
  const oid = oidText(type.value);
  const text = textOf(value).replaceAll(/[\\,+"<>;]/g, (character) => `\\${character}`);
  return `${SHORT_NAMES[oid] ?? oid}=${text}`;
}

const TAG_T61 = 0x14;
const TAG_BMP = 0x1e;

function textOf({ tag, value }: Element): string {
  if (tag === TAG_BMP)
    return Buffer.from(value.subarray(0, value.length & ~1))
      .swap16()
      .toString('utf16le');
  return value.toString(tag === TAG_T61 ? 'latin1' : 'utf8');
}
