/** What the local CA may sign for (RFC 5280 §4.2.1.10). */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { type Authority, canonicalHost } from './authority.ts';
import * as der from './der-writer.ts';
import { addressOctets } from './address-octets.ts';

export interface CaReach {
  /** DER of NameConstraints; null for a CA without limits. */
  readonly constraints: Buffer | null;
  readonly permits: (authority: Authority) => boolean;
  /** Completes "the local CA may not sign for it: …". */
  readonly limits: string;
}

export const WITHOUT_LIMITS: CaReach = { constraints: null, permits: () => true, limits: 'it has none' };

interface Subnet {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/**
 * @param permitted names, each with every name below it, addresses and subnets
 * @param ownName that only the proxy answers: no server has it, and `mtlsd doctor` asks for it
 * @returns the item that is neither, where there is one
 */
export function caReach(permitted: readonly string[], ownName: string): CaReach | { readonly wrong: string } {
  const names = new Set([ownName]);
  const subnets: Subnet[] = [];
  for (const item of permitted) {
    const subnet = subnetOf(item);
    const name = subnet ? null : canonicalHost(item);
    if (subnet) subnets.push(subnet);
    else if (name !== null && isIP(name) === 0) names.add(name);
    else return { wrong: item };
  }
  const addresses = new BlockList();
  for (const { address, bits, family } of subnets) addresses.addSubnet(address, bits, family);
  return {
    constraints: constraintsOf([...names].sort(), subnets),
    permits: ({ host, kind }) =>
      kind === 'name'
        ? [...names].some((name) => host === name || host.endsWith(`.${name}`))
        : addresses.check(host, kind),
    limits: 'ca.permitted does not list it',
  };
}

function subnetOf(text: string): Subnet | null {
  const [, address = '', digits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : null;
  const most = family === 'ipv4' ? 32 : 128;
  const bits = digits === undefined ? most : Number(digits);
  return family === null || bits > most ? null : { address, bits, family };
}

/**
 * A family of addresses of which none is permitted is excluded as a whole: a list of permitted names alone would limit no
 * address. Names need no such line, since the own name is always permitted.
 */
function constraintsOf(names: readonly string[], subnets: readonly Subnet[]): Buffer {
  const subtree = (tag: number, value: Buffer): Buffer => der.sequence(der.implicit(tag, value));
  const permitted = [
    ...names.map((name) => subtree(2, Buffer.from(name, 'ascii'))),
    ...subnets.map(({ address, bits }) => subtree(7, masked(addressOctets(address), bits))),
  ];
  const excluded = (['ipv4', 'ipv6'] as const)
    .filter((family) => !subnets.some((subnet) => subnet.family === family))
    .map((family) => subtree(7, Buffer.alloc(family === 'ipv4' ? 8 : 32)));
  return der.sequence(
    der.explicit(0, Buffer.concat(permitted)),
    ...(excluded.length > 0 ? [der.explicit(1, Buffer.concat(excluded))] : []),
  );
}

/** The address of the subnet and its mask. */
function masked(octets: Buffer, bits: number): Buffer {
  const mask = octets.map((_, index) => 0xff & ~(0xff >> Math.min(Math.max(bits - index * 8, 0), 8)));
  return Buffer.concat([octets.map((octet, index) => octet & (mask[index] ?? 0)), mask]);
}
