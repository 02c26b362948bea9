import type { Core, Principal } from './context.ts';
import { Unauthenticated } from './errors.ts';

/**
 * Turns a token of one kind into who asks.
 *
 * @param address where the call comes from, for tokens that are not taken from everywhere
 * @throws Unauthenticated without detail
 * @throws Forbidden the token holds, but not from there
 */
export type TokenVerifier = (core: Core, token: string, address: string) => Promise<Principal>;

const verifiers = new Map<string, TokenVerifier>();
const opaqueVerifiers = new Map<string, TokenVerifier>();
const longestToken = 4_096;

/** Registers the kind of token whose `aud` claim is `audience`; main.ts calls it once for each. */
export function registerTokenKind(audience: string, verify: TokenVerifier): void {
  verifiers.set(audience, verify);
}

/** Registers the kind of token that is no JWT and begins with `prefix`, such as `sk_`. */
export function registerOpaqueTokenKind(prefix: string, verify: TokenVerifier): void {
  opaqueVerifiers.set(prefix, verify);
}

/**
 * The one function that makes a principal from an `Authorization` header: the raw token or `Bearer <token>`, as the
 * Airy contract has it. No header is anonymous; anything else that is not a valid token is refused without saying why.
 *
 * @throws Unauthenticated
 * @throws Forbidden a key that is not taken from this address
 */
export async function authenticate(
  core: Core,
  { authorization, address }: { authorization: string | undefined; address: string },
): Promise<Principal> {
  const token = authorization?.replace(/^bearer +/i, '').trim();
  if (token === undefined) return { kind: 'anonymous' };
  if (token.length > longestToken) throw new Unauthenticated();
  const verify = opaqueVerifiers.get(prefixOf(token)) ?? verifiers.get(audienceOf(token) ?? '');
  if (!verify) throw new Unauthenticated();
  return verify(core, token, address);
}

// Of a JWT, which begins with `eyJ`, it is none that is registered.
function prefixOf(token: string): string {
  return token.slice(0, token.indexOf('_') + 1);
}

// Read without trust, only to choose the verifier: each checks signature, audience and issuer with a key of its own.
function audienceOf(token: string): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const audience = (claims as { aud?: unknown } | null)?.aud;
    return typeof audience === 'string' ? audience : undefined;
  } catch {
    return undefined;
  }
}
