import { BlockList, isIP } from 'node:net';

/** Whether a text is an address of IPv4 or IPv6, or a range of them such as `203.0.113.0/24`. */
export function isAddressRange(text: string): boolean {
  return rangeOf(text) !== undefined;
}

function rangeOf(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  // With a zone it names an interface of this machine.
  if (version === 0 || rest.length > 0 || address.includes('%')) return undefined;
  const most = version === 4 ? 32 : 128;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? most : Number(prefix);
  return bits <= most ? { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' } : undefined;
}

/** Whether an address lies in one of the ranges; none means anywhere. An IPv4 address written as IPv6 counts as what it is. */
export function isWithin(address: string, ranges: readonly string[]): boolean {
  if (ranges.length === 0) return true;
  const version = isIP(address);
  if (version === 0) return false;
  const list = new BlockList();
  for (const text of ranges) {
    const range = rangeOf(text);
    if (range) list.addSubnet(range.address, range.bits, range.family);
  }
  return list.check(address, version === 4 ? 'ipv4' : 'ipv6');
}
