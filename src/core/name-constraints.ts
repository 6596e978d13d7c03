/** Name constraints (RFC 5280 §4.2.1.10) of DNS names and IP addresses: enough to name the CA and the name that clash. */
import type { X509Certificate } from 'node:crypto';
import { BlockList } from 'node:net';
import { children } from './der.ts';
import { certificateParts, OID } from './extensions.ts';

export interface Violation {
  readonly code: 'PERMITTED_VIOLATION' | 'EXCLUDED_VIOLATION';
  readonly name: string;
}

const TAG_DNS = 0x82;
const TAG_IP = 0x87;
const TAG_DIRECTORY_NAME = 0xa4;
const TAG_EXCLUDED = 0xa1;

export function hasNameConstraints(certificate: X509Certificate): boolean {
  return certificateParts(certificate).extensions.has(OID.nameConstraints);
}

/** Whether they are about subjects too. */
export function constrainsDirectoryNames(ca: X509Certificate): boolean {
  const { permitted, excluded } = subtreesOf(ca);
  return [...permitted, ...excluded].some(({ tag }) => tag === TAG_DIRECTORY_NAME);
}

/**
 * The first name that the CA's constraints leave out or exclude; null where none does, or none is known.
 * @param names `DNS:…`, `IP:…`; others are ignored
 */
export function violationOf(ca: X509Certificate, names: readonly string[]): Violation | null {
  const { permitted, excluded } = subtreesOf(ca);
  for (const text of names) {
    const tag = text.startsWith('DNS:') ? TAG_DNS : text.startsWith('IP:') ? TAG_IP : 0;
    const value = text.slice(text.indexOf(':') + 1);
    const within = (subtree: Subtree): boolean => subtree.tag === tag && covers(subtree, value);
    if (excluded.some(within)) return { code: 'EXCLUDED_VIOLATION', name: text };
    const ofItsKind = permitted.filter((subtree) => subtree.tag === tag);
    if (ofItsKind.length > 0 && !ofItsKind.some(within)) return { code: 'PERMITTED_VIOLATION', name: text };
  }
  return null;
}

function subtreesOf(ca: X509Certificate): { permitted: Subtree[]; excluded: Subtree[] } {
  const extension = certificateParts(ca).extensions.get(OID.nameConstraints);
  const permitted: Subtree[] = [];
  const excluded: Subtree[] = [];
  for (const list of extension ? children(extension.value) : []) {
    for (const subtree of children(list.raw)) {
      const [base] = children(subtree.raw);
      if (base) (list.tag === TAG_EXCLUDED ? excluded : permitted).push(base);
    }
  }
  return { permitted, excluded };
}

interface Subtree {
  readonly tag: number;
  readonly value: Buffer;
}

function covers(subtree: Subtree, name: string): boolean {
  if (subtree.tag === TAG_IP) return coversAddress(subtree.value, name);
  const suffix = subtree.value.toString('latin1').toLowerCase();
  const host = name.toLowerCase();
  return suffix === '' || host === suffix || host.endsWith(suffix.startsWith('.') ? suffix : `.${suffix}`);
}

/** An address and its mask, four octets each, or sixteen. */
function coversAddress(value: Buffer, ip: string): boolean {
  const half = value.length / 2;
  const family = half === 4 ? 'ipv4' : 'ipv6';
  if (ip.includes(':') !== (family === 'ipv6')) return false;
  const bits = [...value.subarray(half)].reduce((sum, octet) => sum + octet.toString(2).replaceAll('0', '').length, 0);
  const list = new BlockList();
  list.addSubnet(addressText(value.subarray(0, half)), bits, family);
  return list.check(ip, family);
}

function addressText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.');
  return Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16)).join(':');
}
