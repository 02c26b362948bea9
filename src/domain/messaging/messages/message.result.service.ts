import { type RawBuilder, sql } from 'kysely';
import type { Core, Ctx } from '../../context.ts';
import { insertEvents } from '../../events.ts';
import { GroupCommit, mayBeOneEntrysFault, type Outcome } from '../../group-commit.ts';
import { newId } from '../../ids.ts';
import { type Lease, LeaseLost } from '../../jobs.ts';
import { perCore } from '../../per-core.ts';
import { rows } from '../../statement.ts';
import { changeTogether, sqlState, type Tx, transaction } from '../../transaction.ts';
import { type Metadata, mergeMetadata } from '../metadata/metadata.service.ts';
import { lockForResults, takeWaitingMetadata, waitingMetadataOf } from '../metadata/waiting-metadata.service.ts';
import type { Delivery, Exchange } from '../sources/action-endpoint.service.ts';
import type { Source } from '../sources/source.entity.ts';
import { markUnreachable, reachableAgain } from '../sources/source.service.ts';
import type { MessageFailure } from './message.entity.ts';

/** A message that waits for its call. */
export interface Pending {
  id: string;
  conversation_id: string;
  source: string;
  sequence: number;
  content: unknown;
  metadata: Metadata;
  sent_at: number;
  channel_id: string;
  source_channel_id: string;
  source_conversation_id: string;
  conversation_created_at: number;
}

/** What a call came to, to be written. */
export interface Result {
  source: Source;
  pending: Pending;
  exchange: Exchange;
  attempts: number;
  /** Until the next attempt; undefined when this one decided. */
  waitMs: number | undefined;
}

/** True: nothing is left to send, and the lane is gone with it. */
export async function writeResult(ctx: Ctx, lease: Lease, result: Result): Promise<boolean> {
  const { delivery } = result.exchange;
  const write = async (keptId: string | null) => {
    const written = keptId !== null && (await writeDelivered(ctx.core, lease, { ...result, keptId }));
    if (!written) await writeInSteps(ctx, lease, { ...result, keptId });
    return written === 'done';
  };
  try {
    return await write(delivery.state === 'DELIVERED' ? delivery.sourceMessageId : null);
  } catch (error) {
    // Another message of ours has this source_message_id: the endpoint gave it twice. Delivered it is all the same.
    if (sqlState(error) !== '23505') throw error;
    return write(null);
  }
}

interface Writing<Id = string | null> extends Result {
  /** The source_message_id that is stored. */
  keptId: Id;
}

interface Written {
  held: boolean;
  settled: boolean;
  gone: boolean;
}

interface Entry {
  lease: Lease;
  result: Writing<string>;
}

/** Of the time that a delivery has with its lane. */
export const resultMs = 10_000;
const groupLimits = { group: 32, queue: 10_000, atOnce: 2, answerMs: resultMs };

const groupOf = perCore(
  (core) => new GroupCommit((entries: Entry[]) => writeGroup(core, entries), groupLimits, mayBeOneEntrysFault),
);

/**
 * What nearly all deliveries come to, with those that end meanwhile in one way to the database. False: something else
 * happened to the message while the call was out, and nothing is written.
 */
async function writeDelivered(core: Core, lease: Lease, result: Writing<string>): Promise<'done' | 'more' | false> {
  const written = await groupOf(core).join({ lease, result }, 1);
  if (!written.held) throw new LeaseLost(lease.lane);
  if (!written.settled) return false;
  lease.goOn();
  return written.gone ? 'done' : 'more';
}

async function writeGroup(core: Core, entries: Entry[]): Promise<Outcome<Written>[]> {
  const pendings = entries.map(({ result }) => result.pending);
  const locks = lockForResults(
    pendings.map(({ source }) => source),
    pendings.map((pending) => pending.conversation_id),
  );
  const written = await changeTogether(
    core,
    [locks, ...entries.map((entry) => settleDelivered(core, entry))],
    ['event'],
  );
  return written.slice(1).map(([value]) => ({ ok: true, value: value as Written }));
}

function settleDelivered(core: Core, { lease, result }: Entry): RawBuilder<unknown> {
  const { pending, exchange, keptId } = result;
  const { id, conversation_id: conversationId, source } = pending;
  const { fenced, gone, kept } = lease.ending(sql`exists (select 1 from message
      where conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING' and id <> ${id}::uuid)`);
  const isSettled = sql`exists (select from settled)`;
  return sql`
    with fenced as materialized (${fenced}),
    settled as (
      update message set delivery_state = 'DELIVERED', failure = null, source_message_id = ${keptId},
        metadata = ${JSON.stringify(metadataAfter(pending.metadata, exchange.delivery, 'DELIVERED'))}::jsonb
      where id = ${id}::uuid and conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING'
        and metadata = ${JSON.stringify(pending.metadata)}::jsonb
        and exists (select from fenced) and not exists (${waitingMetadataOf(source, keptId)})
      returning id),
    tried as (${insertAttempt(core.now(), result, isSettled)}),
    logged as (${insertEvents(messageUpdated(conversationId))}),
    reached as (${reachableAgain(source, isSettled)}),
    gone as (${gone}),
    kept as (${kept})
    select exists (select from fenced) held, ${isSettled} settled, exists (select from gone) gone`;
}

/** A select of the event's columns, from the message that `settled` has. */
function messageUpdated(conversationId: string): RawBuilder<unknown> {
  return sql`select ${conversationId}::uuid, 'message.updated', jsonb_build_object('messageId', id) from settled`;
}

/** The same in every case: each step sees what the ones before it found. */
function writeInSteps(ctx: Ctx, lease: Lease, result: Writing): Promise<void> {
  const { pending, exchange, waitMs } = result;
  const { delivery } = exchange;
  return transaction(ctx, async (tx) => {
    await rows(tx.em, lockForResults([pending.source], [pending.conversation_id]));
    await writeMessage(tx, result);
    if (delivery.state === 'RETRY' && waitMs === undefined) await markUnreachable(tx, pending.source, delivery.reason);
    // A message that has its final state ends here; one that waits keeps its attempts.
    await (waitMs === undefined ? lease.checkAndGoOn(tx) : lease.check(tx));
  });
}

async function writeMessage(tx: Tx, result: Writing): Promise<void> {
  const { pending, exchange, waitMs, keptId } = result;
  const { delivery } = exchange;
  const { id, conversation_id: conversationId } = pending;
  const failure = failureOf(tx, delivery, waitMs);
  const state = delivery.state === 'DELIVERED' ? 'DELIVERED' : waitMs === undefined ? 'FAILED' : 'PENDING';
  // Read again: the source may have told facts about it, or the person taken it up anew, while the call was out.
  const [present] = await rows<{ metadata: Metadata }>(
    tx.em,
    sql`select metadata from message
        where id = ${id}::uuid and conversation_id = ${conversationId}::uuid and delivery_state = 'PENDING'
        for no key update`,
  );
  const waited =
    present && keptId !== null
      ? await takeWaitingMetadata(tx, { source: pending.source, namespace: 'message', subjectId: keptId })
      : undefined;
  const metadata = present && mergeMetadata(metadataAfter(present.metadata, delivery, state), waited ?? {});
  await rows(
    tx.em,
    sql`with settled as (
          update message set delivery_state = ${state}, failure = ${failure && JSON.stringify(failure)}::jsonb,
            source_message_id = ${keptId}, metadata = ${JSON.stringify(metadata ?? {})}::jsonb
          where id = ${id}::uuid and ${present !== undefined} returning id),
        tried as (${insertAttempt(tx.now(), result, sql`true`)}),
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
  at: Date,
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
            ${at.toISOString()}::timestamptz
          where ${request !== null} and ${condition}`;
}
