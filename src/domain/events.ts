import { type RawBuilder, sql } from 'kysely';
import { type Core, type Ctx } from './context.ts';
import { InvalidInput } from './errors.ts';
import { epochMs, rows } from './statement.ts';
import type { Tx } from './transaction.ts';

/**
 * What happened, as the log keeps it: ids only. Whoever shows it reads the subject again, so an event never shows
 * more than its reader may see.
 */
export type DomainEvent =
  | { kind: 'message.created' | 'message.updated'; conversationId: string; payload: { messageId: string } }
  | { kind: 'conversation.created' | 'conversation.updated'; conversationId: string; payload: Record<string, never> }
  | { kind: 'channel.updated'; conversationId: null; payload: { channelId: string } }
  | { kind: 'tag.updated' | 'tag.deleted'; conversationId: null; payload: { tagId: string } }
  | { kind: 'journey.updated'; conversationId: null; payload: { journeyId: string } }
  /** The user's tokens below this version are void: their sockets close. */
  | { kind: 'user.revoked'; conversationId: null; payload: { userId: string; tokenVersion: number } };

type EventKind = DomainEvent['kind'];

/** A position of the log; order is (txid, id). */
export interface EventPosition {
  txid: bigint;
  id: bigint;
}

export type LoggedEvent = DomainEvent & { position: EventPosition; at: Date };

/** The row of `event_log`: which log this is, and up to where it has been trimmed. */
export interface EventLogState {
  epoch: string;
  trimmed: EventPosition;
}

/** Appends to the log in the transaction of the change. Lock the conversations first: `lockConversations`. */
export async function appendEvents(tx: Tx, events: DomainEvent[]): Promise<void> {
  if (events.length === 0) return;
  await rows(tx.em, insertEvents(eventsOf(events)));
  tx.hints.add('event');
}

/** A select of the columns of these events. */
export function eventsOf(events: readonly DomainEvent[]): RawBuilder<unknown> {
  return sql`select * from unnest(
          ${events.map((event) => event.conversationId)}::uuid[], ${events.map((event) => event.kind)}::text[],
          ${events.map((event) => JSON.stringify(event.payload))}::jsonb[])`;
}

/** The same as part of a larger statement. @param events a select of conversation, kind and payload, in their order */
export function insertEvents(events: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`insert into event (conversation_id, kind, payload) ${events}`;
}

/**
 * First statement of each transaction that writes events of conversations. The transaction has no id yet, so within
 * one conversation the order of ids is the order of these locks (lanes-and-events, trap 4). Folded to 1,024 keys to
 * keep the lock table small.
 */
export async function lockConversations(tx: Tx, conversationIds: string[]): Promise<void> {
  await rows(tx.em, locksOfConversations(conversationIds));
}

/** The same as a statement. */
export function locksOfConversations(conversationIds: readonly string[]): RawBuilder<unknown> {
  return sql`select pg_advisory_xact_lock(7, k) from (
          select distinct hashtext(c::text) & 1023 k from unnest(${[...conversationIds]}::uuid[]) c order by 1) s`;
}

interface EventRow {
  txid: string;
  id: string;
  conversation_id: string | null;
  kind: EventKind;
  payload: unknown;
  at_ms: number;
}

function toEvent(row: EventRow): LoggedEvent {
  return {
    kind: row.kind,
    conversationId: row.conversation_id,
    payload: row.payload,
    position: { txid: BigInt(row.txid), id: BigInt(row.id) },
    at: new Date(row.at_ms),
  } as LoggedEvent;
}

/**
 * Events after a position that are committed for good: their transaction is below every running one, so nothing can
 * still appear before them. At most `limit`, in order.
 */
export async function readEvents(core: Core, after: EventPosition, limit: number): Promise<LoggedEvent[]> {
  const found = await rows<EventRow>(
    core.em.fork(),
    sql`select txid::text, id::text, conversation_id, kind, payload, ${sql.raw(epochMs('at'))} at_ms
        from event
        where (txid, id) > (${String(after.txid)}::xid8, ${String(after.id)}::bigint)
          and txid < pg_snapshot_xmin(pg_current_snapshot())
        order by event.txid, event.id limit ${sql.lit(limit)}`,
  );
  return found.map(toEvent);
}

/** True when committed or running transactions have newer events that are not yet safe to read: look again soon. */
export async function hasUnsafeEvents(core: Core, after: EventPosition): Promise<boolean> {
  const [row] = await rows<{ waiting: boolean }>(
    core.em.fork(),
    sql`select exists (select 1 from event
          where (txid, id) > (${String(after.txid)}::xid8, ${String(after.id)}::bigint)) waiting`,
  );
  return row?.waiting ?? false;
}

/** The position before which everything has been released, and which log it belongs to. */
export async function readEventLog(core: Core): Promise<EventLogState & { now: EventPosition; newestTxid: bigint }> {
  const [row] = await rows<{ epoch: string; trimmed_txid: string; trimmed_id: string; xmin: string; xmax: string }>(
    core.em.fork(),
    sql`select epoch, trimmed_txid::text, trimmed_id::text,
          pg_snapshot_xmin(pg_current_snapshot())::text xmin, pg_snapshot_xmax(pg_current_snapshot())::text xmax
        from event_log`,
  );
  if (!row) throw new Error('the table event_log has no row: the migrations did not run');
  return {
    epoch: row.epoch,
    trimmed: { txid: BigInt(row.trimmed_txid), id: BigInt(row.trimmed_id) },
    now: { txid: BigInt(row.xmin), id: 0n },
    newestTxid: BigInt(row.xmax),
  };
}

/** Negative, zero or positive, as a comparator. */
export function comparePositions(a: EventPosition, b: EventPosition): number {
  if (a.txid !== b.txid) return a.txid < b.txid ? -1 : 1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return 0;
}

/** The opaque cursor of a position: it carries the epoch, so that a restored copy of the database is noticed. */
export function encodeEventCursor(epoch: string, position: EventPosition): string {
  return Buffer.from(`${epoch}/${position.txid}/${position.id}`).toString('base64url');
}

/** @throws InvalidInput when it was not made by us */
export function decodeEventCursor(cursor: string, path = 'after'): { epoch: string; position: EventPosition } {
  const match = /^([0-9a-f-]{36})\/(\d{1,19})\/(\d{1,18})$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (!match || Buffer.from(match[0]).toString('base64url') !== cursor) {
    throw new InvalidInput(path, 'must be a cursor of eventCursor or of an event');
  }
  return { epoch: match[1]!, position: { txid: BigInt(match[2]!), id: BigInt(match[3]!) } };
}

/** Newest position, to be read together with the first page of a list. */
export async function currentEventCursor(ctx: Ctx): Promise<string> {
  const log = await readEventLog(ctx.core);
  return encodeEventCursor(log.epoch, log.now);
}

/**
 * One batch of the retention, by the database's clock. Returns how many went. The log is cut off from its
 * beginning up to the first event that is young: one that began earlier but stands behind it waits for the next time.
 * Were it removed first, the mark of what is trimmed would pass the young one, and nobody would look for it again.
 */
export async function trimEvents(tx: Tx, retentionMs: number, batch = 10_000): Promise<number> {
  const removed: RawBuilder<{ count: number }> = sql`
    with gone as (
      delete from event where ctid = any (array(
        select place from (
          select place, bool_and(is_old) over (order by txid, id) is_past from (
            select ctid place, txid, id, at < now() - make_interval(secs => ${retentionMs / 1000}::float8) is_old
            from event
            where (txid, id) > ((select trimmed_txid from event_log), (select trimmed_id from event_log))
            order by event.txid, event.id limit ${sql.lit(batch)}) oldest) dated
        where is_past))
      returning txid, id),
    last as (select txid, id from gone order by txid desc, id desc limit 1),
    moved as (update event_log set trimmed_txid = last.txid, trimmed_id = last.id from last)
    select count(*)::int count from gone`;
  const [row] = await rows(tx.em, removed);
  return row?.count ?? 0;
}

/** A message of a contact, as listeners hear of it. */
export interface ReceivedMessage {
  messageId: string;
  conversationId: string;
  contactId: string;
  content: unknown;
  sentAt: Date;
}

/**
 * What wants to hear of messages of contacts in the transaction that stores them. Gives the statement that is run in it; it
 * may wake lanes. The conversations are locked, and each has said that somebody listens.
 */
export type MessageListener = (received: readonly ReceivedMessage[]) => RawBuilder<unknown>;

const messageListeners: MessageListener[] = [];

/** Registers a listener; main.ts calls it once for each. */
export function registerMessageListener(listener: MessageListener): void {
  messageListeners.push(listener);
}

/** The statements of all listeners. */
export function heardBy(received: readonly ReceivedMessage[]): RawBuilder<unknown>[] {
  return messageListeners.map((listener) => listener(received));
}
