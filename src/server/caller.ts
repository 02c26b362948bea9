import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { authenticate } from '../domain/authentication.ts';
import { Unauthenticated } from '../domain/errors.ts';
import type { Core, Principal } from '../graphql/execute.ts';

/** The client's `x-request-id` where it is harmless in headers and logs, else a new one. */
export function requestIdOf(message: IncomingMessage): string {
  const given = message.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

/**
 * The address that throttles count. Behind a proxy (`TRUST_PROXY`) it is the last one of X-Forwarded-For, which our
 * proxy wrote; those before it are whatever the client sent.
 */
export function addressOf(message: IncomingMessage, trustProxy: boolean): string {
  const forwarded = trustProxy ? message.headers['x-forwarded-for'] : undefined;
  const last = String(forwarded ?? '')
    .split(',')
    .at(-1)
    ?.trim();
  return last || message.socket.remoteAddress || 'unknown';
}

/**
 * Who asks, by the Authorization header.
 *
 * @throws Unauthenticated for a bad token and for two headers
 * @throws Forbidden a key that is not taken from this address
 */
export async function principalOf(core: Core, message: IncomingMessage): Promise<Principal> {
  const { authorization } = message.headers;
  if (authorization === undefined) return { kind: 'anonymous' };
  // Node keeps the first of two; a proxy before us may have looked at the other.
  let count = 0;
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    if (message.rawHeaders[index]!.toLowerCase() === 'authorization') count += 1;
  }
  if (count > 1) throw new Unauthenticated('one Authorization header is enough');
  return authenticate(core, { authorization, address: addressOf(message, core.settings.trustProxy) });
}
