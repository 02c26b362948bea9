import { sql } from 'kysely';
import { allow, sourceOf } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { type Fault, Forbidden, InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { isUuid, sourceThingId } from '../../ids.ts';
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
import { encryptSecret } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isStorableText, isWebAddress, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { lockLiveSource } from '../sources/source.service.ts';
import { Channel } from './channel.entity.ts';

export interface NewSourceChannel {
  sourceChannelId: string;
  name: string;
  /** Any JSON object; `token` and `image_url` are texts. */
  metadata?: Record<string, unknown> | null;
}

export interface ChannelChange {
  channel: Channel;
  /** False when it was so already. */
  changed: boolean;
}

const longestId = 512;
const longestName = 255;
/** Of one source: lists show all connected channels at once. The others stay for their conversations. */
const mostChannels = { connected: 1_000, total: 10_000 };
/** Bytes as JSON: all that is connected comes in one answer, so together they have to fit. */
const largestMetadata = 8_192;

/**
 * Makes, renames or reconnects a channel of the calling source; the same source_channel_id keeps its id. What its
 * metadata has as `token` and `page_token` is stored encrypted and never shown; the token is told in this answer only.
 */
export async function createSourceChannel(
  ctx: Ctx,
  input: NewSourceChannel,
): Promise<ChannelChange & { token: string | null }> {
  allow(ctx, 'createSourceChannel');
  const source = sourceOf(ctx);
  checkNewChannel(input);
  const {
    token = null,
    page_token: pageToken = null,
    image_url: imageUrl = null,
    name: _name,
    ...metadata
  } = input.metadata ?? {};
  const id = sourceThingId(source.sourceName, input.sourceChannelId);
  const result = await transaction(ctx, async (tx) => {
    // One at a time for a source, and none beside its deletion.
    await lockLiveSource(tx, source.sourceId);
    const before = await tx.em.findOne(Channel, { id });
    if (before && before.source !== source.sourceId)
      throw new InvalidInput('sourceChannelId', 'belongs to another source');
    const changed = !before?.connected;
    if (changed) await checkRoom(tx, source.sourceId, before);
    const channel = before
      ? tx.em.assign(before, { name: input.name, imageUrl: imageUrl as string | null, metadata })
      : tx.em.create(Channel, {
          id,
          source: source.sourceId,
          sourceChannelId: input.sourceChannelId,
          name: input.name,
          imageUrl: imageUrl as string | null,
          metadata,
          connected: true,
          createdAt: tx.now(),
          updatedAt: tx.now(),
        });
    channel.connected = true;
    channel.updatedAt = tx.now();
    await tx.em.flush();
    await keepCredentials(tx, id, { token, pageToken });
    await appendEvents(tx, [channelEvent(id)]);
    return { channel, changed };
  });
  return { ...result, token: token as string | null };
}

// Under the lock of the source, so that two at once are counted.
async function checkRoom(tx: Tx, sourceId: string, before: Channel | null): Promise<void> {
  const [count] = await rows<{ connected: number; total: number }>(
    tx.em,
    sql`select (count(*) filter (where connected))::int connected, count(*)::int total
        from channel where source = ${sourceId}::uuid`,
  );
  if (count!.connected >= mostChannels.connected) {
    throw new InvalidInput(
      'sourceChannelId',
      `this source has ${mostChannels.connected} connected channels, no more are taken: disconnect one first`,
    );
  }
  if (!before && count!.total >= mostChannels.total) {
    throw new InvalidInput('sourceChannelId', `this source has ${mostChannels.total} channels, no more are taken`);
  }
}

function checkNewChannel(input: NewSourceChannel): void {
  const faults: Fault[] = [];
  const { token, image_url: imageUrl } = input.metadata ?? {};
  if (
    input.sourceChannelId.length < 1 ||
    input.sourceChannelId.length > longestId ||
    !isStorableText(input.sourceChannelId)
  ) {
    faults.push({ path: 'sourceChannelId', message: `must be 1 to ${longestId} characters` });
  }
  if (input.name.trim() === '' || input.name.length > longestName || !isStorableText(input.name)) {
    faults.push({ path: 'name', message: `must be 1 to ${longestName} characters` });
  }
  if (token != null && typeof token !== 'string') faults.push({ path: 'metadata.token', message: 'must be a text' });
  if (imageUrl != null && !(typeof imageUrl === 'string' && isWebAddress(imageUrl))) {
    faults.push({ path: 'metadata.image_url', message: 'must be an absolute http or https address' });
  }
  const metadata = input.metadata ?? {};
  const oversized = oversizedJson(metadata, JSON.stringify(metadata), largestMetadata);
  if (oversized) faults.push({ path: 'metadata', message: oversized });
  if (faults.length > 0) throw new InvalidInput(faults);
}

/** Keeps those that are not null; without any the stored ones go. */
async function keepCredentials(tx: Tx, channelId: string, given: Record<string, unknown>): Promise<void> {
  const credentials = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  if (Object.keys(credentials).length === 0) {
    await rows(tx.em, sql`delete from channel_credentials where channel_id = ${channelId}::uuid`);
    return;
  }
  const sealed = encryptSecret(tx.core.settings, 'channel.credentials', JSON.stringify(credentials));
  await rows(
    tx.em,
    sql`insert into channel_credentials (channel_id, credentials_encrypted) values (${channelId}::uuid, ${sealed})
        on conflict (channel_id) do update set credentials_encrypted = excluded.credentials_encrypted`,
  );
}

/** The calling source's connected channels, all at once. */
export async function listSourceChannels(ctx: Ctx): Promise<Channel[]> {
  allow(ctx, 'sourceChannels');
  const { sourceId } = sourceOf(ctx);
  return ctx.em.find(Channel, { source: sourceId, connected: true }, { orderBy: { createdAt: 'asc', id: 'asc' } });
}

/** Disconnects a channel of the calling source. @throws Forbidden for a foreign and for an unknown id alike */
export async function disconnectSourceChannel(ctx: Ctx, { channelId }: { channelId: string }): Promise<ChannelChange> {
  allow(ctx, 'disconnectSourceChannel');
  const { sourceId } = sourceOf(ctx);
  const channel = isUuid(channelId) ? await ctx.em.findOne(Channel, { id: channelId, source: sourceId }) : null;
  if (!channel) throw new Forbidden('this source has no such channel');
  return disconnect(ctx, channel);
}

/** Marks the channel as disconnected and deletes its credentials. @throws NotFound */
export async function disconnectChannel(ctx: Ctx, { channelId }: { channelId: string }): Promise<ChannelChange> {
  allow(ctx, 'disconnectChannel');
  const channel = await ctx.em.findOne(Channel, { id: channelId });
  if (!channel) throw new NotFound('channel', channelId);
  return disconnect(ctx, channel);
}

async function disconnect(ctx: Ctx, { id }: Channel): Promise<ChannelChange> {
  return transaction(ctx, async (tx) => {
    const changed = await tx.em.nativeUpdate(
      Channel,
      { id, connected: true },
      { connected: false, updatedAt: tx.now() },
    );
    await keepCredentials(tx, id, {});
    if (changed > 0) await appendEvents(tx, [channelEvent(id)]);
    return { channel: await tx.em.findOneOrFail(Channel, { id }), changed: changed > 0 };
  });
}

function channelEvent(channelId: string) {
  return { kind: 'channel.updated' as const, conversationId: null, payload: { channelId } };
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
