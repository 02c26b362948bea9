import { createHmac, createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { Core, Settings } from '../../context.ts';
import { Unauthenticated } from '../../errors.ts';

/** Each opens its own doors only; the key is derived from the audience, so one kind never passes as another. */
export type TokenAudience = 'user' | 'source' | 'reset' | 'journey';

export interface TokenClaims {
  sub: string;
  jti: string;
  /** Seconds; undefined where the kind has no expiry. */
  exp?: number;
  [claim: string]: unknown;
}

const issuer = 'parley';
/** Clocks of other machines may differ this much. */
const leewaySeconds = 60;

const keys = new WeakMap<Settings, Map<TokenAudience, KeyObject>>();

// A key object: given a text, the library first tries to read it as a public key, each time.
function signingKey(settings: Settings, audience: TokenAudience): KeyObject {
  const known = keys.get(settings) ?? new Map<TokenAudience, KeyObject>();
  keys.set(settings, known);
  const key =
    known.get(audience) ?? createSecretKey(createHmac('sha256', settings.jwtSecret).update(`jwt:${audience}`).digest());
  known.set(audience, key);
  return key;
}

/** Signs a token of one kind. `livesForSeconds` undefined: no expiry (source tokens). */
export function signToken(
  core: Core,
  audience: TokenAudience,
  token: { subject: string; id?: string; claims?: Record<string, unknown>; livesForSeconds?: number },
): string {
  const issuedAt = Math.floor(core.now().getTime() / 1000);
  const claims = {
    ...token.claims,
    iat: issuedAt,
    ...(token.livesForSeconds && { exp: issuedAt + token.livesForSeconds }),
  };
  return jwt.sign(claims, signingKey(core.settings, audience), {
    algorithm: 'HS256',
    audience,
    issuer,
    subject: token.subject,
    jwtid: token.id ?? randomUUID(),
  });
}

/** Tokens whose signature was right, by their text: it stays right. Only we make such, so nobody else fills this. */
const verified = new WeakMap<Settings, Map<string, TokenClaims>>();
const mostVerified = 1_000;

/**
 * Checks signature, algorithm, audience, issuer and times. The library takes a token without `exp`, with a text as
 * `exp` and with `iat` in the future: those are checked here.
 *
 * @throws Unauthenticated without detail
 */
export function verifyToken(core: Core, audience: TokenAudience, token: string): TokenClaims {
  const nowSeconds = Math.floor(core.now().getTime() / 1000);
  const known = verified.get(core.settings) ?? new Map<string, TokenClaims>();
  verified.set(core.settings, known);
  const key = `${audience} ${token}`;
  const claims = known.get(key) ?? verifySignature(core, audience, token, nowSeconds);
  if (claims.exp !== undefined && claims.exp + leewaySeconds <= nowSeconds) {
    known.delete(key);
    throw new Unauthenticated();
  }
  if (known.size >= mostVerified) known.clear();
  known.set(key, claims);
  return claims;
}

function verifySignature(core: Core, audience: TokenAudience, token: string, nowSeconds: number): TokenClaims {
  let claims: unknown;
  try {
    claims = jwt.verify(token, signingKey(core.settings, audience), {
      algorithms: ['HS256'],
      audience,
      issuer,
      clockTimestamp: nowSeconds,
      clockTolerance: leewaySeconds,
    });
  } catch {
    throw new Unauthenticated();
  }
  if (!isClaims(claims)) throw new Unauthenticated();
  if (audience !== 'source' && claims.exp === undefined) throw new Unauthenticated();
  if (typeof claims.iat !== 'number' || claims.iat > nowSeconds + leewaySeconds) throw new Unauthenticated();
  return claims;
}

function isClaims(value: unknown): value is TokenClaims {
  if (typeof value !== 'object' || value === null) return false;
  const { sub, jti, exp } = value as Record<string, unknown>;
  return typeof sub === 'string' && typeof jti === 'string' && (exp === undefined || typeof exp === 'number');
}
