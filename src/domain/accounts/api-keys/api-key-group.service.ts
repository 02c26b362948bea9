import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { plainArray, rows } from '../../statement.ts';
import { isOneLine } from '../../text.ts';
import { sqlState, type Tx, transaction } from '../../transaction.ts';
import { ApiKeyGroup } from './api-key-group.entity.ts';

export interface GroupMembers {
  groupId: string;
  /** At most 100 in one call. */
  apiKeyIds: readonly string[];
}

const longestName = 255;
const mostGroups = 100;
const mostAtOnce = 100;

/** All groups by name. */
export async function listApiKeyGroups(ctx: Ctx): Promise<ApiKeyGroup[]> {
  allow(ctx, 'apiKeyGroups');
  return ctx.em.find(ApiKeyGroup, {}, { orderBy: { name: 'asc', id: 'asc' } });
}

/** @throws NotFound */
export async function getApiKeyGroup(ctx: Ctx, id: string): Promise<ApiKeyGroup> {
  allow(ctx, 'apiKeyGroups');
  const group = await ctx.em.findOne(ApiKeyGroup, { id });
  if (!group) throw new NotFound('API key group', id);
  return group;
}

/** @throws InvalidInput @throws Conflict another group has this name */
export async function createApiKeyGroup(ctx: Ctx, { name }: { name: string }): Promise<ApiKeyGroup> {
  allow(ctx, 'createApiKeyGroup');
  checkName(name);
  return transaction(ctx, async (tx) => {
    // One at a time, so that two at once are counted.
    await rows(tx.em, sql`select pg_advisory_xact_lock(10, hashtext('api_key_group'))`);
    if ((await tx.em.count(ApiKeyGroup)) >= mostGroups) {
      throw new InvalidInput('name', `there are ${mostGroups} groups, no more are taken: delete one first`);
    }
    const group = tx.em.create(ApiKeyGroup, { id: newId(), name, createdAt: tx.now() });
    await flushNamed(tx);
    return group;
  });
}

/** @throws NotFound @throws InvalidInput @throws Conflict another group has this name */
export async function renameApiKeyGroup(ctx: Ctx, { id, name }: { id: string; name: string }): Promise<ApiKeyGroup> {
  allow(ctx, 'renameApiKeyGroup');
  checkName(name);
  return transaction(ctx, async (tx) => {
    const group = await getApiKeyGroup(tx, id);
    group.name = name;
    await flushNamed(tx);
    return group;
  });
}

/** Its keys stay. @throws NotFound */
export async function deleteApiKeyGroup(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteApiKeyGroup');
  if ((await ctx.em.nativeDelete(ApiKeyGroup, { id })) === 0) throw new NotFound('API key group', id);
}

/** Puts keys in; who is in stays in. @throws NotFound the group or one of the keys @throws InvalidInput too many */
export async function addApiKeysToGroup(ctx: Ctx, { groupId, apiKeyIds }: GroupMembers): Promise<ApiKeyGroup> {
  allow(ctx, 'addApiKeysToGroup');
  checkCount(apiKeyIds);
  return transaction(ctx, async (tx) => {
    const group = await getApiKeyGroup(tx, groupId);
    const known = await rows<{ id: string }>(
      tx.em,
      sql`select id::text from api_key where id = any(${plainArray(apiKeyIds)}::uuid[])`,
    );
    const missing = apiKeyIds.find((wanted) => !known.some(({ id }) => id === wanted));
    if (missing !== undefined) throw new NotFound('API key', missing);
    await rows(
      tx.em,
      sql`insert into api_key_group_member (group_id, key_id)
          select ${groupId}::uuid, key_id from unnest(${plainArray(apiKeyIds)}::uuid[]) key_id on conflict do nothing`,
    );
    return group;
  });
}

/** Takes keys out; what is not in, or no key at all, is passed over. @throws NotFound the group @throws InvalidInput too many */
export async function removeApiKeysFromGroup(ctx: Ctx, { groupId, apiKeyIds }: GroupMembers): Promise<ApiKeyGroup> {
  allow(ctx, 'removeApiKeysFromGroup');
  checkCount(apiKeyIds);
  return transaction(ctx, async (tx) => {
    const group = await getApiKeyGroup(tx, groupId);
    await rows(
      tx.em,
      sql`delete from api_key_group_member
          where group_id = ${groupId}::uuid and key_id = any(${plainArray(apiKeyIds)}::uuid[])`,
    );
    return group;
  });
}

/** In the order of `ids`, null for what is not there. */
export async function findApiKeyGroups(ctx: Ctx, ids: readonly string[]): Promise<(ApiKeyGroup | null)[]> {
  allow(ctx, 'apiKeyGroups');
  return inOrderOf(ids, await ctx.em.find(ApiKeyGroup, { id: { $in: [...ids] } }));
}

/** The groups of several keys, by name; in the order of `keyIds`. */
export async function listGroupsOfKeys(ctx: Ctx, keyIds: readonly string[]): Promise<ApiKeyGroup[][]> {
  allow(ctx, 'apiKeyGroups');
  const members = await rows<{ key_id: string; group_id: string }>(
    ctx.em,
    sql`select key_id::text, group_id::text from api_key_group_member m join api_key_group g on g.id = group_id
        where key_id = any(${plainArray(keyIds)}::uuid[]) order by g.name, g.id`,
  );
  const groupIds = [...new Set(members.map(({ group_id }) => group_id))];
  const groups = new Map((await ctx.em.find(ApiKeyGroup, { id: { $in: groupIds } })).map((group) => [group.id, group]));
  return keyIds.map((id) =>
    members.flatMap(({ key_id, group_id }) => (key_id === id ? (groups.get(group_id) ?? []) : [])),
  );
}

async function flushNamed(tx: Tx): Promise<void> {
  try {
    await tx.em.flush();
  } catch (error) {
    if (sqlState(error) === '23505') throw new Conflict('another group has this name');
    throw error;
  }
}

function checkName(name: string): void {
  if (!isOneLine(name, longestName)) {
    throw new InvalidInput('name', `must be 1 to ${longestName} characters of one line`);
  }
}

function checkCount(apiKeyIds: readonly string[]): void {
  if (apiKeyIds.length === 0 || apiKeyIds.length > mostAtOnce) {
    throw new InvalidInput('apiKeyIds', `must be 1 to ${mostAtOnce}`);
  }
}
