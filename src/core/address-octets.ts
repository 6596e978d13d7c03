import { isIPv4 } from 'node:net';

/** An IP address as certificates hold it: 4 or 16 octets. */
export function addressOctets(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.from(ip.split('.').map(Number));
  const [head = '', tail] = new URL(`http://[${ip}]/`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const octets = Buffer.alloc(16);
  front.forEach((group, index) => octets.writeUInt16BE(group, index * 2));
  back.forEach((group, index) => octets.writeUInt16BE(group, (8 - back.length + index) * 2));
  return octets;
}
