import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { readRows, rows } from '../../statement.ts';
import { isOneLine } from '../../text.ts';
import { sqlState, type Tx, transaction } from '../../transaction.ts';
import { ApiKey, ApiKeyGroup } from './api-key.entity.ts';

const longestName = 255;
const mostGroups = 100;
const mostKeys = 1_000;

/** All groups by name. */
export async function listApiKeyGroups(ctx: Ctx): Promise<ApiKeyGroup[]> {
  allow(ctx, 'apiKeyGroups');
  return ctx.em.find(ApiKeyGroup, {}, { orderBy: { name: 'asc', id: 'asc' } });
}

/** In the order of `ids`, null for what is not there. */
export async function findApiKeyGroups(ctx: Ctx, ids: readonly string[]): Promise<(ApiKeyGroup | null)[]> {
  allow(ctx, 'apiKeyGroups');
  return inOrderOf(ids, await ctx.em.find(ApiKeyGroup, { id: { $in: [...ids] } }));
}

/** The keys of a group, the newest first; the caller has checked the rights. */
export async function listKeysOfGroup(ctx: Ctx, groupId: string): Promise<ApiKey[]> {
  const found = await readRows<{ key_id: string }>(
    ctx,
    sql`select key_id::text from api_key_group_member where group_id = ${groupId}::uuid order by key_id desc`,
  );
  return ctx.em.find(ApiKey, { id: { $in: found.map(({ key_id }) => key_id) } }, { orderBy: { id: 'desc' } });
}

/** @throws InvalidInput @throws Conflict the name is taken */
export function createApiKeyGroup(
  ctx: Ctx,
  { name, keyIds }: { name: string; keyIds?: readonly string[] | null },
): Promise<ApiKeyGroup> {
  allow(ctx, 'createApiKeyGroup');
  checkName(name);
  return named(() =>
    transaction(ctx, async (tx) => {
      if ((await tx.em.count(ApiKeyGroup)) >= mostGroups) {
        throw new InvalidInput('name', `there are ${mostGroups} groups, no more are taken: delete one first`);
      }
      const group = tx.em.create(ApiKeyGroup, { id: newId(), name, createdAt: tx.now() });
      await tx.em.flush();
      await setKeys(tx, group.id, keyIds ?? []);
      return group;
    }),
  );
}

/** Changes the name, or which keys belong to it. @throws NotFound @throws InvalidInput @throws Conflict the name is taken */
export function updateApiKeyGroup(
  ctx: Ctx,
  { id, name, keyIds }: { id: string; name?: string | null; keyIds?: readonly string[] | null },
): Promise<ApiKeyGroup> {
  allow(ctx, 'updateApiKeyGroup');
  if (name != null) checkName(name);
  return named(() =>
    transaction(ctx, async (tx) => {
      const group = await tx.em.findOne(ApiKeyGroup, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!group) throw new NotFound('API key group', id);
      if (name != null) group.name = name;
      await tx.em.flush();
      if (keyIds != null) await setKeys(tx, id, keyIds);
      return group;
    }),
  );
}

/** The keys stay. @throws NotFound */
export async function deleteApiKeyGroup(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteApiKeyGroup');
  if ((await ctx.em.nativeDelete(ApiKeyGroup, { id })) === 0) throw new NotFound('API key group', id);
}

async function setKeys(tx: Tx, groupId: string, keyIds: readonly string[]): Promise<void> {
  const wanted = [...new Set(keyIds)];
  if (wanted.length > mostKeys) throw new InvalidInput('keyIds', `must be at most ${mostKeys}`);
  const known = await rows<{ id: string }>(
    tx.em,
    sql`select id::text from api_key where id = any(${wanted}::uuid[]) for key share`,
  );
  const missing = wanted.find((id) => !known.some((key) => key.id === id));
  if (missing !== undefined) throw new NotFound('API key', missing);
  await rows(
    tx.em,
    sql`delete from api_key_group_member where group_id = ${groupId}::uuid and key_id <> all(${wanted}::uuid[])`,
  );
  await rows(
    tx.em,
    sql`insert into api_key_group_member (group_id, key_id) select ${groupId}::uuid, k from unnest(${wanted}::uuid[]) k
        on conflict do nothing`,
  );
}

const uniqueViolation = '23505';

async function named<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (sqlState(error) === uniqueViolation) throw new Conflict('there is a group of this name already');
    throw error;
  }
}

function checkName(name: string): void {
  if (!isOneLine(name, longestName)) {
    throw new InvalidInput('name', `must be 1 to ${longestName} characters of one line`);
  }
}
