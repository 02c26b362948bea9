import { sql } from 'kysely';
import { allow, sourceOf } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
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
import { Channel } from './channel.entity.ts';

/** The calling source's connected channels, all at once. */
export async function listSourceChannels(ctx: Ctx): Promise<Channel[]> {
  allow(ctx, 'sourceChannels');
  const { sourceId } = sourceOf(ctx);
  return ctx.em.find(Channel, { source: sourceId, connected: true }, { orderBy: { createdAt: 'asc', id: 'asc' } });
}

export interface ChannelQuery {
  sourceId?: string | null;
  connected?: boolean | null;
}

/** All connected channels at once, oldest first: what the legacy list shows. */
export async function listConnectedChannels(ctx: Ctx, { sourceId }: ChannelQuery): Promise<Channel[]> {
  allow(ctx, 'connectedChannels');
  return ctx.em.find(
    Channel,
    { connected: true, ...(await sourceCondition(ctx, sourceId)) },
    { orderBy: { createdAt: 'asc', id: 'asc' } },
  );
}

async function sourceCondition(
  ctx: Ctx,
  sourceId: string | null | undefined,
): Promise<{ source?: string | { $in: string[] } }> {
  if (sourceId == null) return {};
  const found = await rows<{ id: string }>(ctx.em, sql`select id::text from source where source_id = ${sourceId}`);
  return { source: { $in: found.map(({ id }) => id) } };
}

/** Channels by page, oldest first. */
export async function listChannels(
  ctx: Ctx,
  query: ChannelQuery & PageRequest,
): Promise<Page<Channel> & { total(): Promise<number> }> {
  allow(ctx, 'channels');
  const window = pageWindow('channels', query);
  const where = {
    ...(query.connected != null && { connected: query.connected }),
    ...(await sourceCondition(ctx, query.sourceId)),
  };
  const place = window.place && channelPlace(window.place);
  const compare = window.backwards ? '$lt' : '$gt';
  const direction = window.backwards ? 'desc' : 'asc';
  const found = await ctx.em.find(
    Channel,
    {
      ...where,
      ...(place && {
        $or: [{ createdAt: { [compare]: place.at } }, { createdAt: place.at, id: { [compare]: place.id } }],
      }),
    },
    { orderBy: { createdAt: direction, id: direction }, limit: window.limit + 1 },
  );
  return { ...toPage(window, found, place !== undefined), total: () => ctx.em.count(Channel, where) };
}

/** A page of the channels of each of several sources, oldest first, in one statement; the caller has checked the rights. */
export async function listChannelsOf(
  ctx: Ctx,
  sourceIds: readonly string[],
  request: PageRequest,
): Promise<(Page<Channel> & { total(): Promise<number> })[]> {
  allow(ctx, 'channels');
  const window = pageWindow('channels', request);
  const place = window.place && channelPlace(window.place);
  const direction = window.backwards ? sql`desc` : sql`asc`;
  const compare = window.backwards ? sql`<` : sql`>`;
  const condition = place
    ? sql`and (h.created_at, h.id) ${compare} (${place.at.toISOString()}::timestamptz, ${place.id}::uuid)`
    : sql``;
  const found = await rows<Record<string, unknown>>(
    ctx.em,
    sql`select h.id, h.source, h.source_channel_id, h.name, h.image_url, h.metadata, h.connected, h.created_at, h.updated_at
        from unnest(${[...sourceIds]}::uuid[]) s(id) cross join lateral (
          select * from channel h where h.source = s.id ${condition}
          order by h.created_at ${direction}, h.id ${direction} limit ${window.limit + 1}::int) h
        order by h.created_at ${direction}, h.id ${direction}`,
  );
  const bySource = new Map<string, Channel[]>(sourceIds.map((id) => [id, []]));
  for (const channel of found.map((row) => ctx.em.map(Channel, row))) bySource.get(channel.source)?.push(channel);
  let counted: Promise<Map<string, number>> | undefined;
  const total = async (sourceId: string) => {
    counted ??= countChannelsOf(ctx, sourceIds);
    return (await counted).get(sourceId) ?? 0;
  };
  return sourceIds.map((id) => ({
    ...toPage(window, bySource.get(id) ?? [], place !== undefined),
    total: () => total(id),
  }));
}

async function countChannelsOf(ctx: Ctx, sourceIds: readonly string[]): Promise<Map<string, number>> {
  const found = await rows<{ source: string; count: number }>(
    ctx.em,
    sql`select source::text, count(*)::int count from channel where source = any(${[...sourceIds]}::uuid[]) group by source`,
  );
  return new Map(found.map(({ source, count }) => [source, count]));
}

export function channelCursor(channel: Channel): string {
  return encodeCursor('channels', [channel.createdAt.getTime(), channel.id]);
}

function channelPlace(place: Place): { at: Date; id: string } {
  const [at, id] = place.kind === 'key' ? place.key : [];
  if (typeof id !== 'string' || !isUuid(id)) throw unknownCursor(place.path);
  return { at: instantOfKey(at, place.path), id };
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findChannels(ctx: Ctx, ids: readonly string[]): Promise<(Channel | null)[]> {
  const found = await ctx.em.find(Channel, { id: { $in: [...ids] } });
  return inOrderOf(ids, found);
}

/** The metadata as both APIs show it: the channel's own keys with its name and picture; never its token. */
export function shownChannelMetadata(
  channel: Pick<Channel, 'metadata' | 'name' | 'imageUrl'>,
): Record<string, unknown> {
  return { ...channel.metadata, name: channel.name, ...(channel.imageUrl !== null && { image_url: channel.imageUrl }) };
}

/** Null for an unknown id. */
export async function findChannel(ctx: Ctx, id: string): Promise<Channel | null> {
  allow(ctx, 'channel');
  return ctx.em.findOne(Channel, { id });
}
