import { createHmac } from 'node:crypto';
import { expect } from '@jest/globals';
import type { App } from './app.ts';
import { GraphSocket } from './graph-socket.ts';

export type Claims = Record<string, unknown>;

export const jwtHeader = { alg: 'HS256', typ: 'JWT' };

export const base64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token put together by hand: any header, any claims, any key. */
export function forge(
  header: unknown,
  claims: unknown,
  key: Parameters<typeof createHmac>[1],
  hash = 'sha256',
): string {
  const signed = `${base64(header)}.${base64(claims)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}

export const claimsOf = (token: string): Claims =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());

export const seconds = (): number => Math.floor(Date.now() / 1000);

/** The real key of a kind of token; a test in tokens.test.ts makes sure that it is the one the server uses. */
export function keyOf(app: App, audience: string): Buffer {
  return createHmac('sha256', app.core.settings.jwtSecret).update(`jwt:${audience}`).digest();
}

/** The same token without one claim, signed with the key of `audience`. */
export function without(app: App, token: string, audience: string, claim: string): string {
  const { [claim]: _left, ...claims } = claimsOf(token);
  return forge(jwtHeader, claims, keyOf(app, audience));
}

/** Expects 403 without a body, UNAUTHENTICATED and 4403: nothing tells why. */
export async function expectRefused(app: App, token: string): Promise<void> {
  for (const authorization of [token, `Bearer ${token}`]) {
    const headers = { authorization };
    for (const row of [
      'conversations.list',
      'sources.list',
      'sources.channels.list',
      'users.request-password-reset',
      'users.login',
    ]) {
      const { status, text } = await app.rest(row, {}, { headers });
      expect([row, status, text]).toEqual([row, 403, '']);
    }
    const { body } = await app.graphql('{ viewer { id } sourceChannels { id } }', undefined, { headers });
    const extensions = { code: 'UNAUTHENTICATED', requestId: expect.any(String) };
    expect(body).toEqual({ errors: [{ message: 'a valid token is needed', extensions }] });
  }
  expect(await new GraphSocket(app.wsUrl).init({ authorization: `Bearer ${token}` })).toBe(4403);
}
