import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction, type Socket, connect as tcpConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { buildConnector } from 'undici';
import {
  blocked,
  hostnameOf,
  OutboundFault,
  OutboundPolicy,
  portNumber,
  type Route,
  type SocketProtocol,
} from './outbound-policy.ts';

/** All addresses of a name. Rejects when there are none. */
export type Lookup = (hostname: string) => Promise<string[]>;

export interface GuardOptions {
  /** `host:port` or CIDR, as in `OUTBOUND_ALLOW`. */
  allow: string[];
  /** The ports this process listens on, asked at each connect. */
  ownPorts?: () => number[];
  /** Instead of the system's; tests change the answers between two calls. */
  lookup?: Lookup;
}

export interface SocketTarget {
  host: string;
  port: number;
  protocol: SocketProtocol;
  /** For resolving and connecting. */
  timeoutMs: number;
}

interface Opening {
  route: Route;
  timeoutMs: number;
  tls?: { alpn: string[] };
}

type Opened = (fault: OutboundFault | null, socket?: Socket) => void;

const connectTimeoutMs = 10_000;

/**
 * Opens the sockets that lead to addresses others gave. Literals are tested as they are, of a name all addresses, and
 * the address reached once more: one that is closed and nothing is sent. A socket keeps its address while it lives.
 *
 * @see contracts/automation.md, section 6
 */
export class OutboundGuard {
  readonly #policy: OutboundPolicy;
  readonly #lookup: Lookup;
  readonly #lookups = new Map<string, Promise<string[]>>();
  readonly #opening = new Set<Socket>();

  constructor({ allow, ownPorts = () => [], lookup = systemAddresses }: GuardOptions) {
    this.#policy = new OutboundPolicy(allow, ownPorts);
    this.#lookup = lookup;
  }

  /** Opens one more `host:port` for sockets from now on. @throws OutboundFault `invalid` */
  allow(hostPort: string): void {
    this.#policy.allow(hostPort);
  }

  /** Whether a call may go there now. @throws OutboundFault `blocked`; `dns` when the name does not resolve */
  async check(url: URL): Promise<void> {
    const route = routeOf(url);
    if (isIP(route.hostname)) this.#policy.requireOpen(route.hostname, route);
    else await this.#resolve(route);
  }

  /**
   * A `lookup` option for libraries that open sockets of their own. Node asks it for names only: literals pass it by,
   * so take `connect` where the library lets you.
   */
  lookup(port: number, protocol: SocketProtocol): LookupFunction {
    return (name, { all, family }, callback) => {
      this.#resolve({ hostname: hostnameOf(name), port, protocol }).then(
        (resolved) => {
          const wanted =
            family === 4 || family === 6 ? resolved.filter((address) => isIP(address) === family) : resolved;
          const answers = wanted.map((address) => ({ address, family: isIP(address) }));
          const [first] = answers;
          if (!first) callback(new OutboundFault('dns', 'the name does not resolve'), '');
          else if (all) callback(null, answers);
          else callback(null, first.address, first.family);
        },
        (fault: OutboundFault) => callback(fault, ''),
      );
    };
  }

  /**
   * Opens a TCP connection for a library that speaks the protocol itself, TLS included. Fits nodemailer's `getSocket`.
   *
   * @throws OutboundFault
   */
  async connect({ host, port, protocol, timeoutMs }: SocketTarget): Promise<Socket> {
    const route: Route = { hostname: hostnameOf(host), port, protocol };
    return new Promise((resolve, reject) => {
      this.#open({ route, timeoutMs }, (fault, socket) => (socket ? resolve(socket) : reject(fault)));
    });
  }

  /** A `connect` option for dispatchers of undici; `allowH2` offers HTTP/2 too. */
  connector({ allowH2 = false } = {}): buildConnector.connector {
    const tls = { alpn: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'] };
    return (target, callback) => {
      const opening = { route: routeOf(target), timeoutMs: connectTimeoutMs };
      this.#open(target.protocol === 'https:' ? { ...opening, tls } : opening, (fault, socket) => {
        if (socket) callback(null, socket);
        else callback(fault!, null);
      });
    };
  }

  /** Ends the connections that are not made yet. */
  close(): void {
    for (const socket of this.#opening) socket.destroy();
  }

  #open({ route, timeoutMs, tls }: Opening, done: Opened): void {
    const { hostname, port, protocol } = route;
    // Node makes no lookup for literals, so they are tested here.
    if (isIP(hostname) && !this.#policy.isOpen(hostname, route)) {
      queueMicrotask(() => done(blocked()));
      return;
    }
    const options = { host: hostname, port, lookup: this.lookup(port, protocol), autoSelectFamily: true };
    const socket = tls
      ? tlsConnect({
          ...options,
          servername: isIP(hostname) ? '' : hostname,
          ALPNProtocols: tls.alpn,
          rejectUnauthorized: true,
        })
      : tcpConnect(options);

    let isReached = false;
    const settle = (fault: OutboundFault | null) => {
      if (!this.#opening.delete(socket)) return;
      clearTimeout(timer);
      if (fault) socket.destroy();
      done(fault, fault ? undefined : socket);
    };
    const tooLong = () => settle(new OutboundFault('timeout', `no connection within ${timeoutMs} ms`));
    const timer = setTimeout(tooLong, timeoutMs);
    this.#opening.add(socket);
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    socket.once('connect', () => {
      isReached = true;
      if (!this.#policy.isOpen(socket.remoteAddress ?? '', route)) settle(blocked());
      else if (!tls) settle(null);
    });
    socket.once('secureConnect', () => settle(null));
    socket.on('error', (error) => settle(connectFault(error, isReached)));
    socket.once('close', () => settle(new OutboundFault('connect', 'the connection was closed')));
  }

  async #resolve(route: Route): Promise<string[]> {
    const { hostname } = route;
    if (hostname === 'localhost' || hostname.endsWith('.localhost')) {
      // Loopback by RFC 6761 whatever the resolver says or does not say: `localhost.` is unknown to many.
      const open = ['127.0.0.1', '::1'].filter((address) => this.#policy.isOpen(address, route));
      if (open.length === 0) throw blocked();
      return open;
    }
    const addresses = await this.#addressesOf(hostname);
    for (const address of addresses) this.#policy.requireOpen(address, route);
    return addresses;
  }

  // One question at a time for each name: few threads resolve, and eight calls of one source would take them all.
  #addressesOf(hostname: string): Promise<string[]> {
    const running = this.#lookups.get(hostname);
    if (running) return running;
    const started = this.#lookup(hostname)
      .catch((error: NodeJS.ErrnoException) => {
        throw new OutboundFault('dns', `the name does not resolve (${error.code ?? 'unknown'})`);
      })
      .finally(() => this.#lookups.delete(hostname));
    this.#lookups.set(hostname, started);
    return started;
  }
}

function routeOf({ hostname, port, protocol }: { hostname: string; port: string; protocol: string }): Route {
  return { hostname: hostnameOf(hostname), port: portNumber(protocol, port), protocol: 'http' };
}

// Node's own messages name the address; the code says enough.
function connectFault(error: NodeJS.ErrnoException, isReached: boolean): OutboundFault {
  if (error instanceof OutboundFault) return error;
  const code = error.code ?? 'unknown';
  if (code === 'ETIMEDOUT') return new OutboundFault('timeout', 'no connection (ETIMEDOUT)');
  return isReached
    ? new OutboundFault('tls', `no secure connection (${code})`)
    : new OutboundFault('connect', `no connection (${code})`);
}

async function systemAddresses(hostname: string): Promise<string[]> {
  return (await systemLookup(hostname, { all: true })).map(({ address }) => address);
}
