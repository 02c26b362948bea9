import { type RawBuilder, sql } from 'kysely';
import { allow, userIdOf } from '../../access.ts';
import type { Core, Ctx } from '../../context.ts';
import { Conflict, Forbidden, IdempotencyMismatch, InvalidInput, NotFound, TooLarge } from '../../errors.ts';
import { appendEvents, insertEvents, lockConversations, locksOfConversations } from '../../events.ts';
import { GroupCommit, mayBeOneEntrysFault, type Outcome } from '../../group-commit.ts';
import { newId } from '../../ids.ts';
import { insertWakes, wakeLaneNow } from '../../jobs.ts';
import { perCore } from '../../per-core.ts';
import { sha256Hex } from '../../secrets.ts';
import { readRows, rows } from '../../statement.ts';
import { isStorableText, oversizedJson } from '../../text.ts';
import { changeTogether, isTx, type Tx, transaction } from '../../transaction.ts';
import { conversationWith, type Recipient } from '../conversations/conversation.start.service.ts';
import { Message } from './message.entity.ts';
import { findMessages, type LoadedMessage } from './message.service.ts';

export interface NewMessage {
  /** Either this or `recipient`. */
  conversationId?: string | null;
  recipient?: Recipient | null;
  /** Any JSON object or a text, as the source wants it. */
  content: unknown;
  /** 1 to 255 characters; the same key within 24 hours gives the first result and sends nothing. */
  idempotencyKey?: string | null;
}

/** The lane of a conversation's outgoing messages. */
export const conversationLane = 'conversation';
const largestContent = 65_536;

/**
 * Takes a message for delivery: stored as PENDING with its event and the conversation's wake-up in one transaction.
 * Its order among the conversation's messages is the order of these calls.
 *
 * @throws NotFound unknown conversation @throws Forbidden its channel is disconnected, or that of a recipient unknown
 * @throws InvalidInput neither object nor text, or a key that is none @throws TooLarge content over 64 KiB
 * @throws IdempotencyMismatch the key was used with another body
 * @throws Unavailable too much waits, or the database gave no answer in time: the message may be in. Only with an
 * idempotency key is it safe to send it again.
 */
export async function sendMessage(ctx: Ctx, input: NewMessage): Promise<LoadedMessage> {
  allow(ctx, 'sendMessage');
  const senderId = userIdOf(ctx);
  const json = checkedJson(input.content);
  const { idempotencyKey: key } = input;
  if (key != null && (key.length < 1 || key.length > 255 || !isStorableText(key))) {
    throw new InvalidInput('idempotencyKey', 'must be 1 to 255 characters');
  }
  const { conversationId, recipient, content } = input;
  if ((conversationId == null) === (recipient == null)) {
    throw new InvalidInput('conversationId', 'give either conversationId or recipient');
  }
  const message = { id: newId(), senderType: 'USER', senderId, content, json } as const;
  if (conversationId != null && key == null) return append(ctx, { ...message, conversationId });
  return transaction(ctx, async (tx) => {
    if (conversationId != null) await lockConversations(tx, [conversationId]);
    const place = conversationId ?? (await conversationWith(tx, recipient!));
    const before = key == null ? undefined : await earlierResult(tx, { ...message, key, place });
    return before ?? append(tx, { ...message, conversationId: place });
  });
}

/**
 * The same for what a flow sends, in the transaction of its journey: the caller has checked the rights and holds the
 * conversation's lock. @param senderId of the flow
 *
 * @throws NotFound unknown conversation @throws Forbidden its channel is disconnected @throws InvalidInput @throws TooLarge
 */
export function sendBotMessage(
  tx: Tx,
  { conversationId, content, senderId }: { conversationId: string; content: unknown; senderId: string },
): Promise<LoadedMessage> {
  const json = checkedJson(content);
  return append(tx, { id: newId(), senderType: 'BOT', senderId, content, json, conversationId });
}

function checkedJson(content: unknown): string {
  const isFit =
    typeof content === 'string'
      ? content !== ''
      : typeof content === 'object' && content !== null && !Array.isArray(content);
  if (!isFit) throw new InvalidInput('content', 'must be a JSON object or a text that is not empty');
  const json = JSON.stringify(content);
  if (Buffer.byteLength(json) > largestContent)
    throw new TooLarge(`the content must be at most ${largestContent} bytes as JSON`);
  const unfit = oversizedJson(content, json);
  if (unfit) throw new InvalidInput('content', unfit);
  return json;
}

// The record is written in the message's transaction: a second call with the key waits for the first one's commit and
// then reads its result. Nothing is kept when the call fails.
async function earlierResult(
  tx: Tx,
  call: { senderId: string; key: string; place: string; content: unknown; id: string },
): Promise<LoadedMessage | undefined> {
  const { key, id } = call;
  const scope = `messages.send ${call.senderId}`;
  const hash = sha256Hex(JSON.stringify([call.place, call.content]));
  const fresh = await rows(
    tx.em,
    sql`insert into idempotency_record as r (scope, key, request_hash, result_id) values (${scope}, ${key}, ${hash}, ${id}::uuid)
        on conflict (scope, key) do update set request_hash = excluded.request_hash, result_id = excluded.result_id, created_at = now()
          where r.created_at < now() - interval '24 hours' returning 1`,
  );
  if (fresh.length > 0) return undefined;
  const [record] = await rows<{ request_hash: string; result_id: string }>(
    tx.em,
    sql`select request_hash, result_id::text from idempotency_record where scope = ${scope} and key = ${key}`,
  );
  if (record?.request_hash !== hash) throw new IdempotencyMismatch();
  const [message] = await findMessages(tx, [record.result_id]);
  // The first answer again: it may have been delivered, or have failed, since.
  return message ? { ...message, ...asTaken } : undefined;
}

/** What of a message changes with its delivery, as it is at first. */
const asTaken = { sourceMessageId: null, deliveryState: 'PENDING', failure: null, metadata: {} } as const;

interface Taking {
  conversationId: string;
  /** The content. */
  json: string;
  id: string;
  senderType: 'USER' | 'BOT';
  senderId: string;
  sentAt: Date;
}

interface Taken {
  sequence: number;
  source: string;
}

/** One for each 4 KiB of content begun: what waits together is bounded in bytes too. */
const weightOf = ({ json }: Taking) => Math.ceil(json.length / 4_096);
const groupLimits = { group: 32, queue: 10_000, atOnce: 2, answerMs: 4_500 };

/** Messages that come while others are written share the next transaction; each is answered when that is durable. */
const groupOf = perCore(
  (core) => new GroupCommit((takings: Taking[]) => takeGroup(core, takings), groupLimits, mayBeOneEntrysFault),
);

async function takeGroup(core: Core, takings: Taking[]): Promise<Outcome<Taken | undefined>[]> {
  const locks = locksOfConversations(takings.map(({ conversationId }) => conversationId));
  const found = await changeTogether(core, [locks, ...takings.map(take)], ['event', 'lane']);
  return found.slice(1).map(([taken]) => ({ ok: true, value: taken as Taken | undefined }));
}

async function append(
  ctx: Ctx,
  { conversationId, content, id, senderType, senderId, json }: Omit<Taking, 'sentAt'> & { content: unknown },
): Promise<LoadedMessage> {
  const sentAt = ctx.now();
  const taking = { conversationId, json, id, senderType, senderId, sentAt };
  const taken = isTx(ctx) ? await takeWithin(ctx, taking) : await groupOf(ctx.core).join(taking, weightOf(taking));
  if (!taken) throw await whyNot(ctx, conversationId);
  return {
    ...asTaken,
    id,
    legacyId: id,
    conversationId,
    source: taken.source,
    sequence: taken.sequence,
    fromContact: false,
    senderType,
    senderId,
    content,
    raw: content,
    sentAt,
    createdAt: sentAt,
  };
}

async function takeWithin(tx: Tx, taking: Taking): Promise<Taken | undefined> {
  tx.hints.add('event').add('lane');
  const [taken] = await rows(tx.em, take(taking));
  return taken;
}

/** One statement under the conversation's lock: its place for the message, the message, the event and the wake-up. */
function take({ conversationId, json, id, senderType, senderId, sentAt }: Taking): RawBuilder<Taken> {
  const at = sql`${sentAt.toISOString()}::timestamptz`;
  return sql<Taken>`
    with place as (
      update conversation c set next_sequence = c.next_sequence + 1, message_count = c.message_count + 1,
        last_message_id = case when c.last_message_at <= ${at} then ${id}::uuid else c.last_message_id end,
        last_message_at = greatest(c.last_message_at, ${at}), updated_at = now()
      from channel h where c.id = ${conversationId}::uuid and h.id = c.channel_id and h.connected
      returning c.id, c.next_sequence - 1 sequence, c.source, old.last_message_at was_at, c.last_message_at),
    placed as (
      update conversation_recency r set last_message_at = p.last_message_at
      from place p where r.last_message_at = p.was_at and r.conversation_id = p.id),
    stored as (
      insert into message (id, conversation_id, source, sequence, from_contact, sender_type, sender_id, content,
        delivery_state, sent_at, created_at)
      select ${id}::uuid, id, source, sequence, false, ${senderType}, ${senderId}, ${json}::jsonb, 'PENDING',
        ${at}, ${at} from place),
    logged as (${insertEvents(sql`select id, 'message.created', jsonb_build_object('messageId', ${id}::text) from place`)}),
    woken as (${insertWakes(sql`select ${conversationLane}, id, source, now() from place`)})
    select sequence, source::text from place`;
}

async function whyNot(ctx: Ctx, conversationId: string): Promise<NotFound | Forbidden> {
  const [found] = await readRows(ctx, sql`select 1 from conversation where id = ${conversationId}::uuid`);
  return found
    ? new Forbidden('the channel of this conversation is disconnected')
    : new NotFound('conversation', conversationId);
}

/** Sends a failed message again, with its old time. @throws NotFound @throws Conflict it did not fail */
export async function retryMessage(ctx: Ctx, { messageId }: { messageId: string }): Promise<LoadedMessage> {
  allow(ctx, 'retryMessage');
  const [before] = await findMessages(ctx, [messageId]);
  if (!before) throw new NotFound('message', messageId);
  const { conversationId, source } = before;
  return transaction(ctx, async (tx) => {
    await lockConversations(tx, [conversationId]);
    const changed = await tx.em.nativeUpdate(
      Message,
      { id: messageId, deliveryState: 'FAILED' },
      { deliveryState: 'PENDING', failure: null },
    );
    if (changed === 0) throw new Conflict('Message is not in a failed state');
    await appendEvents(tx, [{ kind: 'message.updated', conversationId, payload: { messageId } }]);
    await wakeLaneNow(tx, { kind: conversationLane, id: conversationId, group: source });
    return { ...before, deliveryState: 'PENDING', failure: null };
  });
}
