import type { Core, Principal } from './context.ts';
import { Unauthenticated } from './errors.ts';

/** Turns a token of one audience into who asks. @throws Unauthenticated without detail */
export type TokenVerifier = (core: Core, token: string) => Promise<Principal>;
/** The same for a key, which may be bound to addresses. @throws Forbidden it may not be used from this one */
export type KeyVerifier = (core: Core, key: string, address: string) => Promise<Principal>;

const verifiers = new Map<string, TokenVerifier>();
const keyVerifiers = new Map<string, KeyVerifier>();
const longestToken = 4_096;

/** Registers the kind of token whose `aud` claim is `audience`; main.ts calls it once for each. */
export function registerTokenKind(audience: string, verify: TokenVerifier): void {
  verifiers.set(audience, verify);
}

/** Registers the kind of key that begins with `prefix`; main.ts calls it once for each. */
export function registerKeyKind(prefix: string, verify: KeyVerifier): void {
  keyVerifiers.set(prefix, verify);
}

/**
 * The one function that makes a principal from an `Authorization` header: the raw JWT or `Bearer <JWT>`, as the Airy
 * contract has it, or `Bearer <API key>`. No header is anonymous; anything else that is not valid is refused without saying
 * why.
 *
 * @param address of the caller @throws Unauthenticated @throws Forbidden a key that may not be used from there
 */
export async function authenticate(core: Core, authorization: string | undefined, address: string): Promise<Principal> {
  const token = authorization?.replace(/^bearer +/i, '').trim();
  if (token === undefined) return { kind: 'anonymous' };
  if (token.length > longestToken) throw new Unauthenticated();
  const verifyKey = keyVerifiers.get(token.slice(0, token.indexOf('_') + 1));
  if (verifyKey) return verifyKey(core, token, address);
  const verify = verifiers.get(audienceOf(token) ?? '');
  if (!verify) throw new Unauthenticated();
  return verify(core, token);
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
