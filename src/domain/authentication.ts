import type { Core, Principal } from './context.ts';
import { Unauthenticated } from './errors.ts';

/** Turns a token of one audience into who asks. @throws Unauthenticated without detail */
export type TokenVerifier = (core: Core, token: string) => Promise<Principal>;

const verifiers = new Map<string, TokenVerifier>();
const longestToken = 4_096;

/** Registers the kind of token whose `aud` claim is `audience`; main.ts calls it once for each. */
export function registerTokenKind(audience: string, verify: TokenVerifier): void {
  verifiers.set(audience, verify);
}

/**
 * The one function that makes a principal from an `Authorization` header: the raw JWT or `Bearer <JWT>`, as the Airy
 * contract has it. No header is anonymous; anything else that is not a valid token is refused without saying why.
 *
 * @throws Unauthenticated
 */
export async function authenticate(core: Core, authorization: string | undefined): Promise<Principal> {
  const token = authorization?.replace(/^bearer +/i, '').trim();
  if (token === undefined) return { kind: 'anonymous' };
  if (token.length > longestToken) throw new Unauthenticated();
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
