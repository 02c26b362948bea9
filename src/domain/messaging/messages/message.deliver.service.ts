import DataLoader from 'dataloader';
import { sql } from 'kysely';
import type { Core, Ctx } from '../../context.ts';
import { type LaneKind, type LaneResult, type Lease, LeaseLost } from '../../jobs.ts';
import { perCore } from '../../per-core.ts';
import { epochMs, runStatement } from '../../statement.ts';
import { callActionEndpoint, type Exchange } from '../sources/action-endpoint.service.ts';
import type { Source } from '../sources/source.entity.ts';
import { findSourcesById, signingKeysOf } from '../sources/source.service.ts';
import { type Pending, resultMs, writeResult } from './message.result.service.ts';

/** Waits between the attempts of one message; after the last one it is FAILED. */
const waitsMs = [5_000, 30_000, 120_000, 600_000, 1_800_000];
const mostPerClaim = 10;
/** What a call may take, with what is around it, and its result. */
const exchangeMs = 16_000 + resultMs;

/**
 * The work of a conversation's lane: its pending messages in order, one call after the other, so a later one waits
 * behind one that is retried. The call is outside any transaction; its result is written in one whose last lock is the
 * fence of the lane, so a holder that lost the lane writes nothing.
 */
export const deliverConversation: LaneKind = {
  async work(ctx, lease) {
    for (let done = 0; done < mostPerClaim; done += 1) {
      const pending = await pendingOf(ctx.core).load(lease.lane.id);
      if (!pending) return { next: 'finish' };
      const result = await deliverOne(ctx, lease, pending, lease.attempts);
      if (result) return result;
    }
    return { next: 'release' };
  },
};

/** Lanes that are claimed together ask together. */
const pendingOf = perCore(
  (core) => new DataLoader((ids: readonly string[]) => readPending(core, ids), { cache: false }),
);

async function readPending(core: Core, conversationIds: readonly string[]): Promise<(Pending | undefined)[]> {
  const found = await runStatement(
    core,
    sql<Pending>`select m.id, m.conversation_id, m.source, m.sequence, m.content, m.metadata, ${sql.raw(epochMs('m.sent_at'))} sent_at,
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
    isFirst: pending.sequence === 1,
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
