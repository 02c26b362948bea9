import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { allow, sourceOf } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { type Fault, Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { isUuid, sourceThingId } from '../../ids.ts';
import { encryptSecret } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isStorableText, isWebAddress, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { reservedKeyForSource } from '../metadata/metadata.service.ts';
import { findLiveSource, lockLiveSource } from '../sources/source.service.ts';
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
const largestSetting = 8_192;
/** Bytes of all of them as JSON. */
const largestSettings = 16_384;
/** Of one source: lists show all connected channels at once. The others stay for their conversations. */
const mostChannels = { connected: 1_000, total: 10_000 };
/** Bytes as JSON: all that is connected comes in one answer, so together they have to fit. */
export const largestChannelMetadata = 8_192;

/**
 * Makes, renames or reconnects a channel of the calling source; the same source_channel_id keeps its id. What its
 * metadata has as `token` and `page_token` is stored encrypted and never shown; the token is told in this answer only.
 */
export async function createSourceChannel(
  ctx: Ctx,
  { sourceChannelId, name, metadata }: NewSourceChannel,
): Promise<ChannelChange & { token: string | null }> {
  allow(ctx, 'createSourceChannel');
  const { token = null, page_token = null, image_url: imageUrl = null, name: _name, ...others } = metadata ?? {};
  const result = await connect(ctx, sourceOf(ctx), {
    sourceChannelId,
    name,
    imageUrl,
    credentials: { token, page_token },
    metadata: others,
    paths: { credentials: 'metadata', imageUrl: 'metadata.image_url' },
  });
  return { ...result, token: token as string | null };
}

export interface NewChannel {
  /** The name of the source. */
  sourceId: string;
  sourceChannelId: string;
  name?: string | null;
  imageUrl?: string | null;
  /** Texts by name. Stored encrypted, never shown again. */
  settings?: Record<string, unknown> | null;
}

/**
 * Connects a channel of any source; the same source_channel_id keeps its id, and its name where none is given.
 *
 * @throws InvalidInput no such source, or a field
 */
export async function connectChannel(ctx: Ctx, input: NewChannel): Promise<ChannelChange> {
  allow(ctx, 'connectChannel');
  const source = await findLiveSource(ctx, input.sourceId);
  if (!source) throw notImplemented(input.sourceId);
  const { sourceChannelId, name, imageUrl, settings } = input;
  try {
    return await connect(
      ctx,
      { sourceId: source.id, sourceName: source.sourceId },
      {
        sourceChannelId,
        name,
        imageUrl,
        // Left out: those that are stored stay. Null clears.
        credentials: settings === undefined ? undefined : (settings ?? {}),
        paths: { credentials: 'settings', imageUrl: 'imageUrl' },
      },
    );
  } catch (error) {
    // Deleted meanwhile; the caller's own token is as good as before.
    throw error instanceof Unauthenticated ? notImplemented(input.sourceId) : error;
  }
}

/** What could be connected with these credentials; only vendors can be asked. @throws InvalidInput no such source */
export async function exploreChannels(ctx: Ctx, { sourceId }: { sourceId: string }): Promise<ExploredChannel[]> {
  allow(ctx, 'exploreChannels');
  if (!(await findLiveSource(ctx, sourceId))) throw notImplemented(sourceId);
  return [];
}

export interface ExploredChannel {
  name: string;
  sourceId: string;
  sourceChannelId: string;
  imageUrl: string | null;
  connected: boolean;
}

function notImplemented(sourceId: string): InvalidInput {
  if (sourceId === 'google') {
    return new InvalidInput(
      '',
      'Google closed Business Messages on 2024-07-31, its channels can not be connected any more',
    );
  }
  return new InvalidInput('', `source ${sourceId.slice(0, longestName).toWellFormed()} not implemented`);
}

/** Renames a channel or changes its picture. @throws NotFound @throws InvalidInput */
export async function updateChannel(
  ctx: Ctx,
  { channelId, name, imageUrl }: { channelId: string; name?: string | null; imageUrl?: string | null },
): Promise<ChannelChange> {
  allow(ctx, 'updateChannel');
  return transaction(ctx, async (tx) => {
    const channel = await tx.em.findOne(Channel, { id: channelId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!channel) throw new NotFound('channel', channelId);
    const after = { name: name ?? channel.name, imageUrl: imageUrl === undefined ? channel.imageUrl : imageUrl };
    const faults = shownFaults(after, 'imageUrl');
    if (faults.length > 0) throw new InvalidInput(faults);
    const changed = after.name !== channel.name || after.imageUrl !== channel.imageUrl;
    if (!changed) return { channel, changed };
    tx.em.assign(channel, { ...after, updatedAt: tx.now() });
    await tx.em.flush();
    await appendEvents(tx, [channelEvent(channelId)]);
    return { channel, changed };
  });
}

interface Connecting {
  sourceChannelId: string;
  /** Left out: as it was, or the source's id of it. */
  name?: string | null;
  /** Left out: as it was. */
  imageUrl?: unknown;
  /** Left out: as they were. */
  credentials?: Record<string, unknown>;
  /** Left out: as it was. */
  metadata?: Record<string, unknown>;
  /** What faults call them. */
  paths: { credentials: string; imageUrl: string };
}

async function connect(
  ctx: Ctx,
  source: { sourceId: string; sourceName: string },
  input: Connecting,
): Promise<ChannelChange> {
  check(input);
  const id = sourceThingId(source.sourceName, input.sourceChannelId);
  return transaction(ctx, async (tx) => {
    // One at a time for a source, and none beside its deletion.
    await lockLiveSource(tx, source.sourceId);
    const before = await tx.em.findOne(Channel, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (before && before.source !== source.sourceId) {
      throw new InvalidInput('sourceChannelId', 'belongs to another source');
    }
    const changed = !before?.connected;
    if (changed) await checkRoom(tx, source.sourceId, before);
    const channel =
      before ??
      tx.em.create(Channel, {
        id,
        source: source.sourceId,
        sourceChannelId: input.sourceChannelId,
        name: input.sourceChannelId,
        imageUrl: null,
        metadata: {},
        connected: true,
        createdAt: tx.now(),
        updatedAt: tx.now(),
      });
    if (input.name != null) channel.name = input.name;
    if (input.imageUrl !== undefined) channel.imageUrl = input.imageUrl as string | null;
    if (input.metadata) channel.metadata = { ...input.metadata, ...notedByPeople(channel.metadata) };
    channel.connected = true;
    channel.updatedAt = tx.now();
    await tx.em.flush();
    if (input.credentials) await keepCredentials(tx, id, input.credentials);
    await appendEvents(tx, [channelEvent(id)]);
    return { channel, changed };
  });
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

// What people and the operator's systems noted of a channel is not its source's to take away.
function notedByPeople(metadata: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => key === 'public' || key === 'user_data'));
}

function check({ sourceChannelId, name, imageUrl, credentials = {}, metadata = {}, paths }: Connecting): void {
  const faults: Fault[] = [];
  if (sourceChannelId.length < 1 || sourceChannelId.length > longestId || !isStorableText(sourceChannelId)) {
    faults.push({ path: 'sourceChannelId', message: `must be 1 to ${longestId} characters` });
  }
  faults.push(...shownFaults({ name, imageUrl }, paths.imageUrl));
  for (const [key, value] of Object.entries(credentials)) {
    const isText =
      value == null || (typeof value === 'string' && value.length <= largestSetting && isStorableText(value));
    if (!isText) {
      faults.push({
        path: `${paths.credentials}.${key}`,
        message: `must be a text of at most ${largestSetting} characters`,
      });
    }
  }
  const tooMany = oversizedJson(credentials, undefined, largestSettings);
  if (tooMany) faults.push({ path: paths.credentials, message: tooMany });
  const reserved = reservedKeyForSource(metadata);
  if (reserved) faults.push({ path: 'metadata', message: `the key "${reserved}" is reserved` });
  const oversized = oversizedJson(metadata, undefined, largestChannelMetadata);
  if (oversized) faults.push({ path: 'metadata', message: oversized });
  if (faults.length > 0) throw new InvalidInput(faults);
}

function shownFaults({ name, imageUrl }: { name?: string | null; imageUrl?: unknown }, imagePath: string): Fault[] {
  const faults: Fault[] = [];
  if (name != null && (name.trim() === '' || name.length > longestName || !isStorableText(name))) {
    faults.push({ path: 'name', message: `must be 1 to ${longestName} characters` });
  }
  if (imageUrl != null && !(typeof imageUrl === 'string' && isWebAddress(imageUrl))) {
    faults.push({ path: imagePath, message: 'must be an absolute http or https address' });
  }
  return faults;
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
