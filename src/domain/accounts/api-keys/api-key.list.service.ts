import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { isUuid } from '../../ids.ts';
import {
  encodeCursor,
  instantOfKey,
  type Page,
  type PageRequest,
  type Place,
  pageWindow,
  toPage,
  unknownCursor,
} from '../../paging.ts';
import { rows } from '../../statement.ts';
import type { ApiKey } from './api-key.entity.ts';
import { findApiKeys } from './api-key.service.ts';
import { getApiKeyGroup } from './api-key-group.service.ts';

interface KeyPlace {
  at: Date;
  id: string;
}

/**
 * Keys by page, the newest first; the revoked and expired ones too. `groupId`: of that group only.
 *
 * @throws NotFound the group
 */
export async function listApiKeys(
  ctx: Ctx,
  { groupId, ...request }: PageRequest & { groupId?: string | null },
): Promise<Page<ApiKey> & { total(): Promise<number> }> {
  allow(ctx, 'apiKeys');
  const window = pageWindow('apiKeys', request);
  if (groupId) await getApiKeyGroup(ctx, groupId);
  const { place } = window;
  const wanted = groupId
    ? sql<boolean>`id in (select key_id from api_key_group_member where group_id = ${groupId}::uuid)`
    : sql<boolean>`true`;
  const key = place && place.kind !== 'offset' ? await keyPlace(ctx, place, wanted) : undefined;
  const beyond = sql.raw(window.backwards ? '>' : place?.kind === 'id' ? '<=' : '<');
  const direction = sql.raw(window.backwards ? 'asc' : 'desc');
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const found = await rows<{ id: string }>(
    ctx.em,
    sql`select id::text from api_key where ${wanted} and ${key ? isAt(beyond, key) : sql`true`}
        order by created_at ${direction}, id ${direction} limit ${window.limit + 1} offset ${offset}`,
  );
  const isInside =
    key && place?.kind === 'id'
      ? (await count(ctx, sql`${wanted} and ${isAt(sql.raw('>'), key)}`)) > 0
      : key || offset > 0;
  const page = toPage(window, found, Boolean(isInside));
  const keys = await findApiKeys(
    ctx,
    page.items.map(({ id }) => id),
  );
  return { ...page, items: keys.filter((one) => one !== null), total: () => count(ctx, wanted) };
}

/** The opaque place of a key in the list. */
export function apiKeyCursor({ createdAt, id }: ApiKey): string {
  return encodeCursor('apiKeys', [createdAt.getTime(), id]);
}

function isAt(operator: RawBuilder<unknown>, { at, id }: KeyPlace): RawBuilder<unknown> {
  return sql`(created_at, id) ${operator} (${at.toISOString()}::timestamptz, ${id}::uuid)`;
}

async function count(ctx: Ctx, wanted: RawBuilder<unknown>): Promise<number> {
  const [row] = await rows<{ count: number }>(ctx.em, sql`select count(*)::int count from api_key where ${wanted}`);
  return row?.count ?? 0;
}

async function keyPlace(
  ctx: Ctx,
  place: Exclude<Place, { kind: 'offset' }>,
  wanted: RawBuilder<unknown>,
): Promise<KeyPlace> {
  const [at, id] = place.kind === 'id' ? [undefined, place.id] : place.key;
  if (typeof id !== 'string' || !isUuid(id)) throw unknownCursor(place.path);
  if (place.kind === 'key') return { at: instantOfKey(at, place.path), id };
  const [known] = await findApiKeys(ctx, [id]);
  if (!known || (await count(ctx, sql`${wanted} and id = ${id}::uuid`)) === 0) throw unknownCursor(place.path);
  return { at: known.createdAt, id };
}
