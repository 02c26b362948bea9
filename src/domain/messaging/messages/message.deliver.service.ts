import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { appendEvents, lockConversations } from '../../events.ts';
import { newId } from '../../ids.ts';
import { type LaneKind, type LaneResult, type Lease, LeaseLost } from '../../jobs.ts';
import { epochMs, rows } from '../../statement.ts';
import { sqlState, type Tx, transaction } from '../../transaction.ts';
import { type Metadata, mergeMetadata } from '../metadata/metadata.service.ts';
import { shareSubjectsOf, takeWaitingMetadata } from '../metadata/waiting-metadata.service.ts';
import { callActionEndpoint, type Delivery, type Exchange } from '../sources/action-endpoint.service.ts';
import { DeliveryAttempt } from '../sources/delivery-attempt.entity.ts';
import { Source } from '../sources/source.entity.ts';
import { markReachable, markUnreachable, signingKeysOf } from '../sources/source.service.ts';
import type { MessageFailure } from './message.entity.ts';
import { type MessageColumns, messageColumns, toMessage } from './message-rows.ts';

/** Waits between the attempts of one message; after the last one it is FAILED. */
const waitsMs = [5_000, 30_000, 120_000, 600_000, 1_800_000];
const mostPerClaim = 10;
/** What one exchange may take, with its result. */
const exchangeMs = 16_000;

interface Pending extends MessageColumns {
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

async function nextPending(ctx: Ctx, conversationId: string): Promise<Pending | undefined> {
  const [found] = await rows<Pending>(
    ctx.em,
    sql`select ${messageColumns}, c.channel_id, c.source_conversation_id, h.source_channel_id,
          ${sql.raw(epochMs('c.created_at'))} conversation_created_at
        from message m join conversation c on c.id = m.conversation_id join channel h on h.id = c.channel_id
        where m.conversation_id = ${conversationId}::uuid and m.delivery_state = 'PENDING'
        order by m.sequence limit 1`,
  );
  return found;
}

/** Undefined: the message has its final state, go on with the next. */
async function deliverOne(ctx: Ctx, lease: Lease, pending: Pending, attempts: number): Promise<LaneResult | undefined> {
  const source = await ctx.em.fork().findOneOrFail(Source, { id: pending.m_source });
  if (!(await lease.isHeld(exchangeMs))) throw new LeaseLost(lease.lane);
  const exchange = await exchangeOf(ctx, source, pending, attempts);
  const { delivery } = exchange;
  const isLast = attempts > waitsMs.length;
  const waitMs = delivery.state === 'RETRY' && !isLast ? waitBefore(ctx, attempts, delivery.afterMs) : undefined;
  await writeResult(ctx, lease, { source, pending, exchange, attempts, waitMs });
  return waitMs === undefined ? undefined : { next: 'retry', inMs: waitMs, attempts };
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
    messageId: pending.m_id,
    sourceRecipientId: pending.source_conversation_id,
    content: pending.m_content,
    sentAt: new Date(pending.m_sent_at),
    conversation: {
      id: pending.m_conversation_id,
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

async function writeResult(ctx: Ctx, lease: Lease, result: Result): Promise<void> {
  const write = (keepsId: boolean) =>
    transaction(ctx, async (tx) => {
      await shareSubjectsOf(tx, result.source.id);
      await lockConversations(tx, [result.pending.m_conversation_id]);
      await writeMessage(tx, result, keepsId);
      await writeAttempt(tx, result);
      await writeStanding(tx, result);
      // A message that has its final state ends here; one that waits keeps its attempts.
      await (result.waitMs === undefined ? lease.checkAndGoOn(tx) : lease.check(tx));
    });
  try {
    await write(true);
  } catch (error) {
    // Another message of ours has this source_message_id: the endpoint gave it twice. Delivered it is all the same.
    if (sqlState(error) !== '23505') throw error;
    await write(false);
  }
}

async function writeMessage(
  tx: Tx,
  { pending, exchange: { delivery }, waitMs }: Result,
  keepsId: boolean,
): Promise<void> {
  const message = toMessage(pending);
  const failure = failureOf(tx, delivery, waitMs);
  const state = delivery.state === 'DELIVERED' ? 'DELIVERED' : waitMs === undefined ? 'FAILED' : 'PENDING';
  const theirs = delivery.state === 'DELIVERED' && keepsId ? delivery.sourceMessageId : null;
  // Read again: the source may have told facts about it, or the person taken it up anew, while the call was out.
  const [present] = await rows<{ metadata: Metadata }>(
    tx.em,
    sql`select metadata from message where id = ${message.id}::uuid and delivery_state = 'PENDING' for no key update`,
  );
  if (!present) return;
  const waited = theirs === null ? undefined : await takeWaitingMetadata(tx, message.source, theirs);
  const metadata = mergeMetadata(metadataAfter(present.metadata, delivery, state), waited ?? {});
  await rows(
    tx.em,
    sql`update message set delivery_state = ${state}, failure = ${failure && JSON.stringify(failure)}::jsonb,
          source_message_id = ${theirs}, metadata = ${JSON.stringify(metadata)}::jsonb
        where id = ${message.id}::uuid`,
  );
  await appendEvents(tx, [
    { kind: 'message.updated', conversationId: message.conversationId, payload: { messageId: message.id } },
  ]);
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

async function writeAttempt(tx: Tx, { source, pending, exchange, attempts }: Result): Promise<void> {
  // Nothing was sent: the message tells why.
  if (exchange.request === null) return;
  await tx.em.insert(DeliveryAttempt, {
    id: newId(),
    source: source.id,
    conversationId: pending.m_conversation_id,
    messageId: pending.m_id,
    attempt: attempts,
    url: source.actionEndpoint ?? '',
    statusCode: exchange.statusCode,
    error: exchange.delivery.state === 'DELIVERED' ? null : exchange.delivery.reason,
    durationMs: exchange.durationMs,
    request: exchange.request,
    response: exchange.response,
    at: tx.now(),
  });
}

async function writeStanding(tx: Tx, { source, exchange: { delivery }, waitMs }: Result): Promise<void> {
  if (delivery.state === 'DELIVERED' && !source.reachable) await markReachable(tx, source.id);
  if (delivery.state === 'RETRY' && waitMs === undefined) await markUnreachable(tx, source.id, delivery.reason);
}
