import DataLoader from 'dataloader';
import { type RawBuilder, sql } from 'kysely';
import type { Core, Ctx } from '../../context.ts';
import { insertEvents } from '../../events.ts';
import { newId } from '../../ids.ts';
import { type LaneKind, type LaneResult, type Lease, LeaseLost } from '../../jobs.ts';
import { epochMs, rows, runStatement } from '../../statement.ts';
import { changeTogether, sqlState, type Tx, transaction } from '../../transaction.ts';
import { type Metadata, mergeMetadata } from '../metadata/metadata.service.ts';
import { lockForResult, takeWaitingMetadata, waitingMetadataOf } from '../metadata/waiting-metadata.service.ts';
import { callActionEndpoint, type Delivery, type Exchange } from '../sources/action-endpoint.service.ts';
import type { Source } from '../sources/source.entity.ts';
import { findSourcesById, markUnreachable, reachableAgain, signingKeysOf } from '../sources/source.service.ts';
import type { MessageFailure } from './message.entity.ts';

/** Waits between the attempts of one message; after the last one it is FAILED. */
const waitsMs = [5_000, 30_000, 120_000, 600_000, 1_800_000];
const mostPerClaim = 10;
/** What one exchange may take, with its result. */
const exchangeMs = 16_000;

interface Pending {
  id: string;
  conversation_id: string;
  source: string;
  content: unknown;
  metadata: Metadata;
  sent_at: number;
  channel_id: string;
  source_channel_id: string;
  source_conversation_id: string;
  conversation_created_at: number;
}

/**
 * The work of a conversation's lane: its pending messages in order, one call after the other, so a later one waits
 * behind one that is retried. The call is outside any transaction; its result is written in one whose last lock is the
 * fence of the lane, so a holder that lost the lane writes nothing.
 */
export const deliverConversation: LaneKind = {
  async work(ctx, lease) {
    for (let done = 0; done < mostPerClaim; done += 1) {
      const pending = await nextPending(ctx, lease.lane.id);
      if (!pending) return { next: 'finish' };
      const result = await deliverOne(ctx, lease, pending, lease.attempts);
      if (result) return result;
    }
    return { next: 'release' };
  },
};

const pendingOf = new WeakMap<Core, DataLoader<string, Pending | undefined>>();

/** Lanes that are claimed together ask together. */
function nextPending({ core }: Ctx, conversationId: string): Promise<Pending | undefined> {
  let loader = pendingOf.get(core);
  if (!loader) {
    loader = new DataLoader((ids) => readPending(core, ids), { cache: false });
    pendingOf.set(core, loader);
  }
  return loader.load(conversationId);
}

async function readPending(core: Core, conversationIds: readonly string[]): Promise<(Pending | undefined)[]> {
  const found = await runStatement(
    core,
    sql<Pending>`select m.id, m.conversation_id, m.source, m.content, m.metadata, ${sql.raw(epochMs('m.sent_at'))} sent_at,
          c.channel_id, c.source_conversation_id, h.source_channel_id,
          ${sql.raw(epochMs('c.created_at'))} conversation_created_at
        from unnest(${[...conversationIds]}::uuid[]) asked(id)
        cross join lateral (
          select * from message where conversation_id = asked.id and delivery_state = 'PENDING' order by sequence limit 1) m
        join conversation c on c.id = m.conversation_id join channel h on h.id = c.channel_id`,
  );
  const byConversation = new Map(found.map((pending) => [pending.conversation_id, pending]));
  return conversationIds.map((id) => byConversation.get(id));
}

/** Undefined: the message has its final state, go on with the next. */
async function deliverOne(ctx: Ctx, lease: Lease, pending: Pending, attempts: number): Promise<LaneResult | undefined> {
  const [source] = await findSourcesById(ctx, [pending.source]);
  if (!source) throw new Error(`the source of message ${pending.id} is gone`);
  if (!(await lease.isHeld(exchangeMs))) throw new LeaseLost(lease.lane);
  const exchange = await exchangeOf(ctx, source, pending, attempts);
  const { delivery } = exchange;
  const isLast = attempts > waitsMs.length;
  const waitMs = delivery.state === 'RETRY' && !isLast ? waitBefore(ctx, attempts, delivery.afterMs) : undefined;
  const isDone = await writeResult(ctx, lease, { source, pending, exchange, attempts, waitMs });
  const outcome = delivery.state === 'DELIVERED' ? 'delivered' : waitMs === undefined ? 'failed' : 'retried';
  ctx.core.meter.delivered(source.sourceId, outcome);
  if (waitMs !== undefined) return { next: 'retry', inMs: waitMs, attempts };
  return isDone ? { next: 'done' } : undefined;
}

async function exchangeOf(ctx: Ctx, source: Source, pending: Pending, attempts: number): Promise<Exchange> {
  const unsent = (code: string, reason: string): Exchange => ({
    delivery: { state: 'FAILED', code, reason },
    request: null,
    statusCode: null,
    response: null,
    durationMs: 0,
  });
  if (!source.actionEndpoint)
    return unsent('no_action_endpoint', `the source ${source.sourceId} has no action endpoint`);
  // Counted at the claim: a message whose delivery ends the process each time comes to an end too.
  if (attempts > waitsMs.length + 1) return unsent('attempts_used_up', 'all attempts were used up without a result');
  return callActionEndpoint(ctx.core, source.actionEndpoint, signingKeysOf(ctx.core, source), {
    messageId: pending.id,
    sourceRecipientId: pending.source_conversation_id,
    content: pending.content,
    sentAt: new Date(pending.sent_at),
    conversation: {
      id: pending.conversation_id,
      channelId: pending.channel_id,
      sourceChannelId: pending.source_channel_id,
      sourceConversationId: pending.source_conversation_id,
      createdAt: new Date(pending.conversation_created_at),
    },
  });
}

function waitBefore(ctx: Ctx, attempts: number, afterMs: number | undefined): number {
  const jitter = 0.9 + Math.random() * 0.2;
  const scheduled = waitsMs[attempts - 1]! * jitter;
  return Math.max(scheduled, afterMs ?? 0) * ctx.core.settings.retryTimeScale;
}

interface Result {
  source: Source;
  pending: Pending;
  exchange: Exchange;
  attempts: number;
  /** Until the next attempt; undefined when this one decided. */
  waitMs: number | undefined;
}

/** True: nothing is left to send, and the lane is gone with it. */
async function writeResult(ctx: Ctx, lease: Lease, result: Result): Promise<boolean> {
  const write = async (keepsId: boolean) => {
    const written = keepsId && (await writeDelivered(ctx, lease, result));
    if (!written) await writeInSteps(ctx, lease, result, keepsId);
    return written === 'done';
  };
  try {
    return await write(true);
  } catch (error) {
    // Another message of ours has this source_message_id: the endpoint gave it twice. Delivered it is all the same.
    if (sqlState(error) !== '23505') throw error;
    return write(false);
  }
}

/**
 * What nearly all deliveries come to, in one way to the database. False: something else happened to the message while the
 * call was out, and nothing is written.
 */
async function writeDelivered(ctx: Ctx, lease: Lease, result: Result): Promise<'done' | 'more' | false> {
  const { pending, exchange } = result;
  const { delivery } = exchange;
  const { id, conversation_id: conversationId, source } = pending;
  if (delivery.state !== 'DELIVERED') return false;
  const { fenced, gone, kept } = lease.ending(sql`exists (select 1 from message
      where conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING' and id <> ${id}::uuid)`);
  const [written] = await changeTogether(
    ctx,
    [
      lockForResult(source, conversationId),
      sql<{ held: boolean; settled: boolean; gone: boolean }>`
        with fenced as materialized (${fenced}),
        settled as (
          update message set delivery_state = 'DELIVERED', failure = null, source_message_id = ${delivery.sourceMessageId},
            metadata = ${JSON.stringify(metadataAfter(pending.metadata, delivery, 'DELIVERED'))}::jsonb
          where id = ${id}::uuid and conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING'
            and metadata = ${JSON.stringify(pending.metadata)}::jsonb
            and exists (select from fenced) and not exists (${waitingMetadataOf(source, delivery.sourceMessageId)})
          returning id),
        tried as (${insertAttempt(ctx, result, sql`exists (select from settled)`)}),
        logged as (${insertEvents(messageUpdated(conversationId))}),
        reached as (${reachableAgain(source, sql`exists (select from settled)`)}),
        gone as (${gone}),
        kept as (${kept})
        select exists (select from fenced) held, exists (select from settled) settled, exists (select from gone) gone`,
    ],
    ['event'],
  );
  if (!written?.held) throw new LeaseLost(lease.lane);
  if (!written.settled) return false;
  lease.goOn();
  return written.gone ? 'done' : 'more';
}

/** A select of the event's columns, from the message that `settled` has. */
function messageUpdated(conversationId: string): RawBuilder<unknown> {
  return sql`select ${conversationId}::uuid, 'message.updated', jsonb_build_object('messageId', id) from settled`;
}

/** The same in every case: each step sees what the ones before it found. */
function writeInSteps(ctx: Ctx, lease: Lease, result: Result, keepsId: boolean): Promise<void> {
  const { pending, exchange, waitMs } = result;
  const { delivery } = exchange;
  return transaction(ctx, async (tx) => {
    await rows(tx.em, lockForResult(pending.source, pending.conversation_id));
    await writeMessage(tx, result, keepsId);
    if (delivery.state === 'RETRY' && waitMs === undefined) await markUnreachable(tx, pending.source, delivery.reason);
    // A message that has its final state ends here; one that waits keeps its attempts.
    await (waitMs === undefined ? lease.checkAndGoOn(tx) : lease.check(tx));
  });
}

async function writeMessage(tx: Tx, result: Result, keepsId: boolean): Promise<void> {
  const { pending, exchange, waitMs } = result;
  const { delivery } = exchange;
  const { id, conversation_id: conversationId } = pending;
  const failure = failureOf(tx, delivery, waitMs);
  const state = delivery.state === 'DELIVERED' ? 'DELIVERED' : waitMs === undefined ? 'FAILED' : 'PENDING';
  const theirs = delivery.state === 'DELIVERED' && keepsId ? delivery.sourceMessageId : null;
  // Read again: the source may have told facts about it, or the person taken it up anew, while the call was out.
  const [present] = await rows<{ metadata: Metadata; waiting: Metadata | null }>(
    tx.em,
    sql`select metadata, (select w.metadata from waiting_metadata w
            where w.source = ${pending.source}::uuid and w.namespace = 'message' and w.subject_id = ${theirs}) waiting
        from message
        where id = ${id}::uuid and conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING'
        for no key update`,
  );
  const waited =
    present?.waiting && theirs !== null ? await takeWaitingMetadata(tx, pending.source, theirs) : undefined;
  const metadata = present && mergeMetadata(metadataAfter(present.metadata, delivery, state), waited ?? {});
  await rows(
    tx.em,
    sql`with settled as (
          update message set delivery_state = ${state}, failure = ${failure && JSON.stringify(failure)}::jsonb,
            source_message_id = ${theirs}, metadata = ${JSON.stringify(metadata ?? {})}::jsonb
          where id = ${id}::uuid and ${present !== undefined} returning id),
        tried as (${insertAttempt(tx, result, sql`true`)}),
        reached as (${reachableAgain(pending.source, sql`${delivery.state === 'DELIVERED'}`)})
        ${insertEvents(messageUpdated(conversationId))}`,
  );
  tx.hints.add('event');
}

function failureOf(tx: Tx, delivery: Delivery, waitMs: number | undefined): MessageFailure | null {
  if (delivery.state === 'DELIVERED') return null;
  return {
    code: delivery.code,
    message: delivery.reason,
    retryable: delivery.state === 'RETRY',
    nextAttemptAt: waitMs === undefined ? null : new Date(tx.now().getTime() + waitMs).toISOString(),
  };
}

function metadataAfter(before: Metadata, delivery: Delivery, state: string): Metadata {
  if (delivery.state === 'DELIVERED') {
    const { error: _error, ...rest } = before;
    return mergeMetadata(mergeMetadata(rest, delivery.metadata), { source: { id: delivery.sourceMessageId } });
  }
  return state === 'FAILED' ? mergeMetadata(before, { error: delivery.reason }) : before;
}

function insertAttempt(
  ctx: Ctx,
  { source, pending, exchange, attempts }: Result,
  condition: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { request, response, statusCode, durationMs, delivery } = exchange;
  // Nothing was sent: the message tells why.
  return sql`insert into delivery_attempt (id, source, conversation_id, message_id, attempt, url, status_code, error,
            duration_ms, request, response, at)
          select ${newId()}::uuid, ${source.id}::uuid, ${pending.conversation_id}::uuid, ${pending.id}::uuid,
            ${attempts}::int, ${source.actionEndpoint ?? ''}, ${statusCode}::int,
            ${delivery.state === 'DELIVERED' ? null : delivery.reason}, ${durationMs}::int,
            ${JSON.stringify(request)}::jsonb, ${response === null ? null : JSON.stringify(response)}::jsonb,
            ${ctx.now().toISOString()}::timestamptz
          where ${request !== null} and ${condition}`;
}
