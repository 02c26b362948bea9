import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Settings } from '../domain/context.ts';
import { isLoopbackName } from './host-name.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** What proxies write about those whom they speak for. */
const forwarding = /forwarded|^via$|real-ip|client-ip|connecting-ip|remote-addr/;

/**
 * Whether a request was made on this machine, by the address of its socket, and not handed on by a proxy here for
 * somebody elsewhere. Whoever is in doubt is elsewhere: a proxy's header that nobody told us to read, one entry of
 * X-Forwarded-For that is not loopback, a Host that is no name of this machine, HTTP/1.0.
 */
export function isFromThisMachine(message: IncomingMessage, { trustProxy }: Pick<Settings, 'trustProxy'>): boolean {
  const { headers, socket, httpVersion } = message;
  if (!isLoopbackAddress(socket.remoteAddress ?? '')) return false;
  // A proxy that was told nothing but where we are speaks so.
  if (httpVersion === '1.0') return false;
  if (message.headersDistinct.host?.some((host) => !isLoopbackName(host))) return false;
  const written = Object.keys(headers).filter((name) => forwarding.test(name));
  if (written.length === 0) return true;
  if (!trustProxy || !written.includes('x-forwarded-for')) return false;
  return String(headers['x-forwarded-for'])
    .split(',')
    .every((address) => isLoopbackAddress(address.trim()));
}

function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
