import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Bits before the IPv4 address in the IPv6 form `::ffff:203.0.113.7`. */
const mappedBits = 96;

/**
 * A range of addresses as it is stored and compared: `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. An IPv4 range in
 * IPv6 spelling becomes the IPv4 one; bits behind the prefix are cleared, so that what is shown is what holds.
 *
 * @returns undefined when the text is neither an address nor a CIDR; short, octal and decimal forms are none
 */
export function addressRange(text: string): string | undefined {
  const [, host = '', prefix] = /^([\da-f.:]{2,45})(?:\/(0|[1-9]\d{0,2}))?$/i.exec(text) ?? [];
  if (isIP(host) === 0) return undefined;
  const given = ipaddr.parse(host);
  const address = plain(given);
  const size = address.kind() === 'ipv4' ? 32 : 128;
  if (prefix === undefined) return address.toString();
  const bits = Number(prefix) - (address.kind() === given.kind() ? 0 : mappedBits);
  if (bits < 0 || bits > size) return undefined;
  if (bits === size) return address.toString();
  const kind = address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6;
  return `${kind.networkAddressFromCIDR(`${address}/${bits}`)}/${bits}`;
}

/** Whether an address lies in one of the ranges, as `addressRange` wrote them. What is no address lies in none. */
export function isInRanges(address: string, ranges: readonly string[]): boolean {
  // The scope of a link-local address says which of our own interfaces it came by.
  const host = address.replace(/%.*$/, '');
  if (isIP(host) === 0) return false;
  const caller = plain(ipaddr.parse(host));
  return ranges.some((range) => {
    const [network, bits] = ipaddr.parseCIDR(
      range.includes('/') ? range : `${range}/${range.includes(':') ? 128 : 32}`,
    );
    return caller.kind() === network.kind() && caller.match(network, bits);
  });
}

// A socket that takes both families tells IPv4 callers in the mapped form.
function plain(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}
