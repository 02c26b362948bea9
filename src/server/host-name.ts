import type { IncomingMessage } from 'node:http';
import type { Settings } from '../domain/context.ts';

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** The answer to a request for another server: 421, "Misdirected Request". */
export const misdirected = {
  status: 421,
  body: { message: 'this server answers to localhost only: set PUBLIC_URL to the address that it is to be reached at' },
} as const;

/**
 * Whether a request asks for this server by a name of its own. On a loopback address it must: a web page may bind its
 * own name to 127.0.0.1 and then call us as its own origin, past the browser's same-origin rule.
 */
export function isForUs(
  { headers }: IncomingMessage,
  { host: bound, publicUrl }: Pick<Settings, 'host' | 'publicUrl'>,
): boolean {
  // Without a Host header, as in HTTP/1.0, it is no browser.
  if (headers.host === undefined || !isLoopback(bound)) return true;
  const name = nameOf(headers.host);
  return loopback.has(name) || name === inAddress(bound) || (!!publicUrl && name === new URL(publicUrl).hostname);
}

/** Whether a Host header names the machine itself. */
export function isLoopbackName(host: string): boolean {
  return isLoopback(nameOf(host));
}

function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '');
}

function isLoopback(host: string): boolean {
  return loopback.has(inAddress(host)) || /^127(\.\d+){3}$/.test(host);
}

function inAddress(host: string): string {
  return host.includes(':') ? `[${host}]` : host.toLowerCase();
}
