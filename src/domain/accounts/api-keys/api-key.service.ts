import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { allow } from '../../access.ts';
import { addressRange } from '../../addresses.ts';
import type { ApiKeyKind, ApiKeyRole, Ctx } from '../../context.ts';
import { Conflict, type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { latestInstantMs } from '../../paging.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { ApiKey } from './api-key.entity.ts';

/** What can be changed of a key. Left out or null: by default, or as it is. */
export interface ApiKeyFields {
  name?: string | null;
  /** An object of at most 16 KiB as JSON. */
  variables?: unknown;
  /** IPv4, IPv6 or CIDR; an empty list is from anywhere. */
  allowedCidrs?: readonly string[] | null;
  /** Null: never. */
  expiresAt?: Date | null;
}

export interface NewApiKey extends ApiKeyFields {
  name: string;
  kind: ApiKeyKind;
  /** Of secret keys only; EDITOR by default. */
  role?: ApiKeyRole | null;
}

/** How the keys of each kind begin. */
export const keyPrefixes: Record<ApiKeyKind, string> = { SECRET: 'sk_', PUBLIC: 'pk_', ENDPOINT: 'ak_' };

const keyBytes = 32;
const longestName = 255;
const largestVariables = 16_384;
const mostRanges = 100;
/** Neither revoked nor expired: what is revoked stays to be read about. */
const mostLive = 1_000;

/**
 * Makes a key. `key` is the key itself, here for the only time: its SHA-256 and last four characters are stored.
 *
 * @throws InvalidInput
 */
export async function createApiKey(ctx: Ctx, input: NewApiKey): Promise<{ apiKey: ApiKey; key: string }> {
  allow(ctx, 'createApiKey');
  const { kind, name, role, variables, allowedCidrs, expiresAt } = input;
  const faults = faultsOf(ctx, input);
  if (role && kind !== 'SECRET') faults.push({ path: 'role', message: 'only secret keys have a role' });
  if (faults.length > 0) throw new InvalidInput(faults);
  const key = `${keyPrefixes[kind]}${randomBytes(keyBytes).toString('base64url')}`;
  const apiKey = await transaction(ctx, async (tx) => {
    await needRoom(tx, 'name');
    const made = tx.em.create(ApiKey, {
      id: newId(),
      name,
      kind,
      role: role ?? (kind === 'SECRET' ? 'EDITOR' : 'SUPPORT'),
      hash: sha256Hex(key),
      last4: key.slice(-4),
      variables: (variables ?? {}) as Record<string, unknown>,
      allowedCidrs: rangesOf(allowedCidrs ?? []),
      expiresAt: expiresAt ?? null,
      lastUsedAt: null,
      revokedAt: null,
      createdBy: ctx.principal.kind === 'user' ? ctx.principal.userId : null,
      createdAt: tx.now(),
    });
    await tx.em.flush();
    return made;
  });
  return { apiKey, key };
}

/** Changes what is given; `expiresAt` null takes the end away. @throws NotFound @throws Conflict it is revoked @throws InvalidInput */
export async function updateApiKey(ctx: Ctx, { id, ...changes }: { id: string } & ApiKeyFields): Promise<ApiKey> {
  allow(ctx, 'updateApiKey');
  const faults = faultsOf(ctx, changes);
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    const apiKey = await lockedKey(tx, id);
    if (apiKey.revokedAt) throw new Conflict('this key is revoked: make a new one');
    const { name, variables, allowedCidrs, expiresAt } = changes;
    if (expiresAt !== undefined && isOver(apiKey, tx)) await needRoom(tx, 'expiresAt');
    const fields = {
      name: name ?? apiKey.name,
      variables: (variables ?? apiKey.variables) as Record<string, unknown>,
      allowedCidrs: allowedCidrs ? rangesOf(allowedCidrs) : apiKey.allowedCidrs,
      expiresAt: expiresAt === undefined ? apiKey.expiresAt : expiresAt,
    };
    tx.em.assign(apiKey, fields, { merge: false, mergeObjectProperties: false });
    await tx.em.flush();
    return apiKey;
  });
}

/** Ends a key for good, on all processes with the commit. @throws NotFound */
export async function revokeApiKey(ctx: Ctx, { id }: { id: string }): Promise<{ apiKey: ApiKey; changed: boolean }> {
  allow(ctx, 'revokeApiKey');
  return transaction(ctx, async (tx) => {
    const apiKey = await lockedKey(tx, id);
    if (apiKey.revokedAt) return { apiKey, changed: false };
    apiKey.revokedAt = tx.now();
    await tx.em.flush();
    return { apiKey, changed: true };
  });
}

/** In the order of `ids`, null for what is not there. */
export async function findApiKeys(ctx: Ctx, ids: readonly string[]): Promise<(ApiKey | null)[]> {
  allow(ctx, 'apiKeys');
  return inOrderOf(ids, await ctx.em.find(ApiKey, { id: { $in: [...ids] } }));
}

// Locked, so that a change that overtakes a revocation does not write over it.
async function lockedKey(tx: Tx, id: string): Promise<ApiKey> {
  await rows(tx.em, sql`select 1 from api_key where id = ${id}::uuid for no key update`);
  const apiKey = await tx.em.findOne(ApiKey, { id });
  if (!apiKey) throw new NotFound('API key', id);
  return apiKey;
}

function isOver({ expiresAt }: ApiKey, ctx: Ctx): boolean {
  return expiresAt !== null && expiresAt <= ctx.now();
}

// One at a time, so that two at once are counted.
async function needRoom(tx: Tx, path: string): Promise<void> {
  await rows(tx.em, sql`select pg_advisory_xact_lock(10, hashtext('api_key'))`);
  const live = await tx.em.count(ApiKey, {
    revokedAt: null,
    $or: [{ expiresAt: null }, { expiresAt: { $gt: tx.now() } }],
  });
  if (live < mostLive) return;
  throw new InvalidInput(path, `there are ${mostLive} live keys, no more are taken: revoke one first`);
}

function faultsOf(ctx: Ctx, { name, variables, allowedCidrs, expiresAt }: ApiKeyFields): Fault[] {
  const faults: Fault[] = [];
  if (name != null && !isOneLine(name, longestName)) {
    faults.push({ path: 'name', message: `must be 1 to ${longestName} characters of one line` });
  }
  const wrong = variables == null ? undefined : variablesFault(variables);
  if (wrong) faults.push({ path: 'variables', message: wrong });
  if (allowedCidrs && allowedCidrs.length > mostRanges) {
    faults.push({ path: 'allowedCidrs', message: `must be at most ${mostRanges}` });
  } else {
    for (const [index, text] of (allowedCidrs ?? []).entries()) {
      if (addressRange(text) !== undefined) continue;
      const message = 'must be an address or a range, such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32';
      faults.push({ path: `allowedCidrs[${index}]`, message });
    }
  }
  if (expiresAt && expiresAt <= ctx.now()) {
    faults.push({ path: 'expiresAt', message: 'must be in the future; to end a key at once revoke it' });
  } else if (expiresAt && expiresAt.getTime() > latestInstantMs) {
    faults.push({ path: 'expiresAt', message: 'must be before the year 10000; left out, the key does not expire' });
  }
  return faults;
}

function variablesFault(variables: unknown): string | undefined {
  if (typeof variables !== 'object' || Array.isArray(variables)) return 'must be an object';
  return oversizedJson(variables, undefined, largestVariables);
}

/** Each once, in the order given; they have been checked. */
function rangesOf(texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => addressRange(text)!))];
}
