import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export type OutboundFaultKind =
  /** The address may not be called; nothing was sent. */
  | 'blocked'
  /** The name does not resolve. */
  | 'dns'
  | 'connect'
  | 'tls'
  /** The time for the whole exchange, or for connecting, is over. */
  | 'timeout'
  /** The answer is over its cap. */
  | 'too-large'
  /** The answer is not HTTP, or its content coding is unknown or broken. */
  | 'decode'
  /** The connection ended before the answer did. */
  | 'reset'
  /** The call itself cannot be made: address, header. Nothing was sent. */
  | 'invalid';

/**
 * Why there is no answer to judge. The message is short enough to store and show; it names neither a resolved
 * address nor the value of a header.
 */
export class OutboundFault extends Error {
  readonly kind: OutboundFaultKind;

  constructor(kind: OutboundFaultKind, message: string) {
    super(message.slice(0, 500));
    this.name = 'OutboundFault';
    this.kind = kind;
  }
}

/** Mail servers may be reached at their ports by a mail client, and by nothing else. */
export type SocketProtocol = 'http' | 'smtp';

/** Where a socket is to lead. */
export interface Route {
  /** As `hostnameOf` writes it. */
  hostname: string;
  port: number;
  protocol: SocketProtocol;
}

const maxUrlLength = 8_192;
const mailPorts = new Set([25, 465, 587]);

// What listens here is no HTTP server made for strangers: the bad ports of the Fetch standard, then (last two lines)
// file shares, databases, queues and the control ports of Docker, etcd and Kubernetes.
// biome-ignore format: one line for each hundred or so is easier to search
const closedPorts = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
  101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
  427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995,
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
  445, 1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5433, 5672, 5900, 6379, 6432, 9042, 9092,
  10250, 11211, 27017,
]);

/**
 * Parses an address that others gave, once: what is checked and called is the returned URL, never the text again.
 *
 * @throws OutboundFault `invalid`
 */
export function parseAddress(text: string): URL {
  if (text.length > maxUrlLength) throw new OutboundFault('invalid', `must be at most ${maxUrlLength} characters`);
  // URL removes tabs and line ends wherever they stand: whoever wrote one meant to get past a check.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new OutboundFault('invalid', 'must not contain control characters');
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new OutboundFault('invalid', 'must be an http or https address such as https://example.com/hook');
  }
  if (url.username || url.password) {
    throw new OutboundFault('invalid', 'must not contain a user name or password; send them in a header');
  }
  return url;
}

/**
 * A host as it is compared and connected to: literals in every spelling as the address they mean, names in lower case
 * and punycode, without the dot at the end.
 *
 * @throws OutboundFault `invalid`
 */
export function hostnameOf(host: string): string {
  if (isIP(host)) return ipaddr.parse(host).toString();
  const url = /[\s/?#@\\]|^[^[].*:/.test(host) ? null : URL.parse(`http://${host}`);
  if (!url) throw new OutboundFault('invalid', 'must be a host name or an address');
  const hostname = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return isIP(hostname) ? ipaddr.parse(hostname).toString() : hostname;
}

/** The port a call of this protocol (`http:`, `https:`) goes to; `port` as URL writes it, empty for the default. */
export function portNumber(protocol: string, port: string): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

/**
 * Which addresses may be reached: the public ones at ports that are not closed, and what was allowed. Of the allowed,
 * `name:port` opens that name wherever it leads, `address:port` that address, written so or resolved to, and a CIDR its
 * addresses at ports that are not closed.
 */
export class OutboundPolicy {
  readonly #pairs = new Set<string>();
  readonly #ranges: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
  readonly #ownPorts: () => number[];

  /**
   * `allow` holds `host:port` or CIDR; `ownPorts` tells what this process listens on and is asked at each connect.
   *
   * @throws OutboundFault `invalid`
   */
  constructor(allow: string[], ownPorts: () => number[]) {
    for (const entry of allow) {
      if (ipaddr.isValidCIDR(entry)) this.#ranges.push(ipaddr.parseCIDR(entry));
      else this.allow(entry);
    }
    this.#ownPorts = ownPorts;
  }

  /** Opens one more `host:port`. @throws OutboundFault `invalid` */
  allow(hostPort: string): void {
    const [, host, port] = /^(.+):(\d{1,5})$/.exec(hostPort) ?? [];
    if (!host || !port) throw new OutboundFault('invalid', 'must be host:port such as 127.0.0.1:8080');
    this.#pairs.add(pair(hostnameOf(host), Number(port)));
  }

  /** `address` is where the route's name leads, or the same literal. @throws OutboundFault `blocked` */
  requireOpen(address: string, route: Route): void {
    if (!this.isOpen(address, route)) throw blocked();
  }

  isOpen(address: string, { hostname, port, protocol }: Route): boolean {
    if (!isIP(address)) return false;
    const ip = ipaddr.parse(address);
    if (this.#pairs.has(pair(hostname, port)) || this.#pairs.has(pair(ip.toString(), port))) return true;
    if (this.#isClosedPort(port, protocol)) return false;
    return isPublic(ip) || this.#ranges.some(([range, bits]) => ip.kind() === range.kind() && ip.match(range, bits));
  }

  #isClosedPort(port: number, protocol: SocketProtocol): boolean {
    if (protocol === 'smtp' && mailPorts.has(port)) return false;
    if (closedPorts.has(port)) return true;
    // A gateway that listens on 80 or 443 itself must still reach everybody else's.
    return port !== 80 && port !== 443 && this.#ownPorts().includes(port);
  }
}

/** What is thrown for every closed address or port: equal words, so they tell nothing of the network inside. */
export function blocked(): OutboundFault {
  return new OutboundFault(
    'blocked',
    'blocked: this address or port is closed to outgoing calls; OUTBOUND_ALLOW can open it',
  );
}

// Beyond ipaddr.js: it takes all that is not registered for unicast, ::7f00:1 (127.0.0.1 in the IPv4-compatible form)
// included, while only 2000::/3 is given out. An IPv4-mapped address stays refused whatever it maps to.
// 168.63.129.16 is Azure's host agent, at a public number.
function isPublic(ip: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (ip.range() !== 'unicast') return false;
  if (ip instanceof ipaddr.IPv6) return (ip.parts[0]! & 0xe000) === 0x2000;
  return ip.toString() !== '168.63.129.16';
}

function pair(hostname: string, port: number): string {
  return `${hostname} ${port}`;
}
