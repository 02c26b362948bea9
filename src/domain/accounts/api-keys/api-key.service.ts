import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { allow, userIdOf } from '../../access.ts';
import type { Core, Ctx, Principal } from '../../context.ts';
import { type Fault, Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../errors.ts';
import { isUuid, newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { encodeCursor, type Page, type PageRequest, pageWindow, toPage, unknownCursor } from '../../paging.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows, runStatement } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { transaction } from '../../transaction.ts';
import { isAddressRange, isWithin } from './addresses.ts';
import { ApiKey, type ApiKeyKind, type ApiKeyRole } from './api-key.entity.ts';

/** What a key begins with tells what it is for. */
export const keyPrefixes: Record<ApiKeyKind, string> = { SECRET: 'sk_', PUBLIC: 'pk_', ENDPOINT: 'ak_' };

const longestName = 255;
const mostKeys = 1_000;
const mostAddresses = 100;
const largestVariables = 16_384;
const keyBytes = 32;

export interface ApiKeyFields {
  /** 1 to 255 characters of one line. */
  name: string;
  /** An object of at most 16 KiB. */
  variables?: unknown;
  /** IPv4, IPv6 or CIDR, at most 100; none: from anywhere. */
  addresses?: readonly string[] | null;
  expiresAt?: Date | null;
}

/**
 * Makes a key. It is told here and nowhere else.
 *
 * @throws InvalidInput a field, or there are 1,000 live keys
 */
export async function createApiKey(
  ctx: Ctx,
  { kind, role, ...fields }: ApiKeyFields & { kind: ApiKeyKind; role?: ApiKeyRole | null },
): Promise<{ apiKey: ApiKey; key: string }> {
  allow(ctx, 'createApiKey');
  const createdBy = userIdOf(ctx);
  check(ctx, fields);
  const key = `${keyPrefixes[kind]}${randomBytes(keyBytes).toString('base64url')}`;
  const apiKey = await transaction(ctx, async (tx) => {
    await rows(tx.em, sql`select pg_advisory_xact_lock(11, 0)`);
    if ((await tx.em.count(ApiKey, { revokedAt: null })) >= mostKeys) {
      throw new InvalidInput('name', `there are ${mostKeys} keys, no more are taken: revoke one first`);
    }
    const made = tx.em.create(ApiKey, {
      id: newId(),
      name: fields.name,
      kind,
      role: role ?? 'EDITOR',
      hash: sha256Hex(key),
      last4: key.slice(-4),
      variables: (fields.variables ?? {}) as Record<string, unknown>,
      addresses: [...(fields.addresses ?? [])],
      expiresAt: fields.expiresAt ?? null,
      createdBy,
      createdAt: tx.now(),
    });
    await tx.em.flush();
    return made;
  });
  return { apiKey, key };
}

/** Changes what is given; `expiresAt` null: it does not expire. @throws NotFound @throws InvalidInput */
export async function updateApiKey(
  ctx: Ctx,
  { id, ...changes }: { id: string } & { [Name in keyof ApiKeyFields]?: ApiKeyFields[Name] | null },
): Promise<ApiKey> {
  allow(ctx, 'updateApiKey');
  return transaction(ctx, async (tx) => {
    const apiKey = await tx.em.findOne(ApiKey, { id });
    if (!apiKey) throw new NotFound('API key', id);
    const fields = {
      name: changes.name ?? apiKey.name,
      variables: (changes.variables ?? apiKey.variables) as Record<string, unknown>,
      addresses: [...(changes.addresses ?? apiKey.addresses)],
      expiresAt: changes.expiresAt === undefined ? apiKey.expiresAt : changes.expiresAt,
    };
    check(ctx, changes.expiresAt === undefined ? { ...fields, expiresAt: null } : fields);
    tx.em.assign(apiKey, fields, { merge: false, mergeObjectProperties: false });
    await tx.em.flush();
    return apiKey;
  });
}

/** Ends a key for good, on all processes at once. @throws NotFound */
export async function revokeApiKey(ctx: Ctx, { id }: { id: string }): Promise<{ apiKey: ApiKey; changed: boolean }> {
  allow(ctx, 'revokeApiKey');
  const changed = await ctx.em.nativeUpdate(ApiKey, { id, revokedAt: null }, { revokedAt: ctx.now() });
  const apiKey = await ctx.em.findOne(ApiKey, { id }, { refresh: true });
  if (!apiKey) throw new NotFound('API key', id);
  return { apiKey, changed: changed > 0 };
}

/** All keys by page, the newest first; revoked ones too. */
export async function listApiKeys(
  ctx: Ctx,
  request: PageRequest,
): Promise<Page<ApiKey> & { total(): Promise<number> }> {
  allow(ctx, 'apiKeys');
  const window = pageWindow('api keys', request);
  const { place } = window;
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const id = place?.kind === 'id' ? place.id : place?.kind === 'key' ? String(place.key[0]) : undefined;
  if (place && id !== undefined && !isUuid(id)) throw unknownCursor(place.path);
  // Their ids rise with time.
  const beyond = window.backwards ? '$gt' : place?.kind === 'id' ? '$lte' : '$lt';
  const found = await ctx.em.find(
    ApiKey,
    { ...(id !== undefined && { id: { [beyond]: id } }) },
    { orderBy: { id: window.backwards ? 'asc' : 'desc' }, limit: window.limit + 1, offset },
  );
  const isInside =
    place?.kind === 'id' ? (await ctx.em.count(ApiKey, { id: { $gt: place.id } })) > 0 : id !== undefined || offset > 0;
  return { ...toPage(window, found, isInside), total: () => ctx.em.count(ApiKey) };
}

/** The opaque place of a key in the list. */
export function apiKeyCursor({ id }: Pick<ApiKey, 'id'>): string {
  return encodeCursor('api keys', [id]);
}

/** In the order of `ids`, null for what is not there. */
export async function findApiKeys(ctx: Ctx, ids: readonly string[]): Promise<(ApiKey | null)[]> {
  allow(ctx, 'apiKeys');
  return inOrderOf(ids, await ctx.em.find(ApiKey, { id: { $in: [...ids] } }));
}

interface KeyRow {
  id: string;
  kind: ApiKeyKind;
  role: ApiKeyRole;
  variables: Record<string, unknown>;
  addresses: string[];
  expires_at: string | null;
}

/**
 * Who calls with a key. It is looked up each time, so a revocation holds at once everywhere; the use is noted once a minute
 * and nobody waits for that.
 *
 * @throws Unauthenticated unknown, revoked or expired, without saying which @throws Forbidden used from another address
 */
export async function verifyApiKey(core: Core, key: string, address: string): Promise<Principal> {
  const [found] = await runStatement<KeyRow>(
    core,
    sql`select id::text, kind, role, variables, addresses, to_json(expires_at) #>> '{}' expires_at from api_key
        where hash = ${sha256Hex(key)} and revoked_at is null`,
  );
  if (!found || !key.startsWith(keyPrefixes[found.kind])) throw new Unauthenticated();
  if (found.expires_at !== null && new Date(found.expires_at) <= core.now()) throw new Unauthenticated();
  if (!isWithin(address, found.addresses)) throw new Forbidden('this key may not be used from this address');
  noteUse(core, found.id);
  return { kind: 'apiKey', keyId: found.id, keyKind: found.kind, role: found.role, variables: found.variables };
}

function noteUse(core: Core, id: string): void {
  const noted = runStatement(
    core,
    sql`update api_key set last_used_at = now() where id = ${id}::uuid
          and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
  )
    .catch((error: unknown) => core.log.warn({ err: error, apiKey: id }, 'the use of an API key could not be noted'))
    .finally(() => core.background.delete(noted));
  core.background.add(noted);
}

function check(ctx: Ctx, { name, variables, addresses, expiresAt }: ApiKeyFields): void {
  const faults: Fault[] = [];
  if (!isOneLine(name, longestName)) {
    faults.push({ path: 'name', message: `must be 1 to ${longestName} characters of one line` });
  }
  if (variables != null) {
    const isObject = typeof variables === 'object' && !Array.isArray(variables);
    const unfit = isObject ? oversizedJson(variables, undefined, largestVariables) : 'must be an object';
    if (unfit) faults.push({ path: 'variables', message: unfit });
  }
  const given = addresses ?? [];
  if (given.length > mostAddresses) faults.push({ path: 'addresses', message: `must be at most ${mostAddresses}` });
  for (const [index, text] of given.entries()) {
    if (isAddressRange(text)) continue;
    const message = 'must be an address of IPv4 or IPv6, or a range such as 203.0.113.0/24';
    faults.push({ path: `addresses[${index}]`, message });
  }
  if (expiresAt != null && expiresAt <= ctx.now()) faults.push({ path: 'expiresAt', message: 'must be in the future' });
  if (faults.length > 0) throw new InvalidInput(faults);
}
