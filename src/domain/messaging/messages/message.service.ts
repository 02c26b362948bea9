import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import {
  encodeCursor,
  instantOfKey,
  type Page,
  type PageRequest,
  type PageWindow,
  type Place,
  pageWindow,
  toPage,
  unknownCursor,
} from '../../paging.ts';
import { readFixed, readRows } from '../../statement.ts';
import { type ContactColumns, contactColumns, toContact } from '../contacts/contact.service.ts';
import { findSourcesById } from '../sources/source.service.ts';
import { type LoadedMessage, type MessageColumns, messageColumns, toMessage, withSender } from './message-rows.ts';

export {
  frequentMessageColumns,
  type LoadedMessage,
  type MessageColumns,
  messageColumns,
  toMessage,
  withSender,
} from './message-rows.ts';

/**
 * A page of the messages of each of several conversations, oldest to latest by (sentAt, sequence), in one statement;
 * whoever calls has checked the rights. An offset means the same in each; a cursor or an id belongs to one conversation.
 */
export async function listMessages(
  ctx: Ctx,
  conversationIds: readonly string[],
  request: PageRequest,
): Promise<Page<LoadedMessage>[]> {
  const window = pageWindow('messages', request);
  const start = window.place ? await startAt(ctx, conversationIds, window.place, window.backwards) : fromTheEnd;
  const found = await readPages(ctx, conversationIds, window, start);
  const byConversation = new Map<string, LoadedMessage[]>(conversationIds.map((id) => [id, []]));
  for (const row of found) byConversation.get(row.m_conversation_id)?.push(toMessage(row));
  return conversationIds.map((id) => toPage(window, byConversation.get(id) ?? [], start.isInside));
}

interface Start {
  condition: RawBuilder<unknown>;
  offset: number;
  /** Whether there are messages on the other side. */
  isInside: boolean;
  /** What the text of a statement with it depends on, and the values that it binds. */
  form: 'end' | 'offset' | '<' | '>' | '>=';
  parameters: unknown[];
}

const fromTheEnd: Start = { condition: sql`true`, offset: 0, isInside: false, form: 'end', parameters: [] };

async function startAt(ctx: Ctx, conversationIds: readonly string[], place: Place, backwards: boolean): Promise<Start> {
  if (place.kind === 'offset') return startAfter(place.offset);
  const { sentAt, sequence, conversationId } = place.kind === 'id' ? await messageAt(ctx, place) : keyOf(place);
  if (conversationIds.some((id) => id !== conversationId)) throw unknownCursor(place.path);
  // The values go in as scalars: a row compared with a row subquery cannot use the index.
  const parameters = [sentAt.toISOString(), sequence];
  const at = sql`(${parameters[0]}::timestamptz, ${parameters[1]}::int)`;
  const from = (form: '<' | '>' | '>=', isInside: boolean): Start => ({
    condition: sql`(m.sent_at, m.sequence) ${sql.raw(form)} ${at}`,
    offset: 0,
    isInside,
    form,
    parameters,
  });
  if (backwards) return from('<', true);
  // A key was the end of a page; the page of an id begins with it, and it may be the very first.
  if (place.kind === 'key') return from('>', true);
  const [probe] = await readRows(
    ctx,
    sql<{ older: boolean }>`select exists (select 1 from message m where m.conversation_id = ${conversationId}::uuid
          and (m.sent_at, m.sequence) < ${at}) older`,
  );
  return from('>=', probe?.older ?? false);
}

function startAfter(offset: number): Start {
  if (offset === 0) return fromTheEnd;
  return { ...fromTheEnd, offset, isInside: true, form: 'offset', parameters: [offset] };
}

async function messageAt(ctx: Ctx, { id, path }: Extract<Place, { kind: 'id' }>): Promise<LoadedMessage> {
  const [message] = await findMessages(ctx, [id]);
  if (!message) throw unknownCursor(path);
  return message;
}

function keyOf({ key: [sentAt, sequence, conversationId], path }: Extract<Place, { kind: 'key' }>) {
  const isSequence = Number.isSafeInteger(sequence) && Math.abs(sequence as number) < 2 ** 31;
  if (!isSequence) throw unknownCursor(path);
  return { sentAt: instantOfKey(sentAt, path), sequence: sequence as number, conversationId };
}

async function readPages(
  ctx: Ctx,
  conversationIds: readonly string[],
  window: PageWindow,
  start: Start,
): Promise<MessageColumns[]> {
  const direction = window.backwards ? sql`desc` : sql`asc`;
  return readRows(
    ctx,
    sql<MessageColumns>`select m.* from unnest(${[...conversationIds]}::uuid[]) with ordinality c(id, n)
        cross join lateral (${pageOf(window, start)}) m
        order by c.n, m.m_sent_at ${direction}, m.m_sequence ${direction}`,
  );
}

/** The messages of one conversation `c`. */
function pageOf(window: PageWindow, { condition, offset }: Start): RawBuilder<unknown> {
  const direction = window.backwards ? sql`desc` : sql`asc`;
  // The limit is part of the text: with a parameter for it PostgreSQL would plan the statement anew each time.
  return sql`select ${messageColumns} from message m where m.conversation_id = c.id and ${condition}
          order by m.sent_at ${direction}, m.sequence ${direction}
          limit ${sql.lit(window.limit + 1)}${offset > 0 ? sql` offset ${offset}::int` : sql``}`;
}

/** A conversation of which little more is wanted than a page of its messages: what that takes, in one statement. */
export interface ConversationWithPage {
  id: string;
  legacyId: string;
  /** The name of the source. */
  sourceId: string;
  messageCount: number;
  page: Page<LoadedMessage>;
}

type Nullable<Columns> = { [Name in keyof Columns]: Columns[Name] | null };

interface ConversationPageColumns extends Nullable<MessageColumns>, ContactColumns {
  c_source: string;
  c_message_count: number;
}

function pageWithConversation(
  conversationId: string,
  window: PageWindow,
  start: Start,
): RawBuilder<ConversationPageColumns> {
  const direction = window.backwards ? sql`desc` : sql`asc`;
  return sql<ConversationPageColumns>`select c.source c_source, c.message_count c_message_count, ${contactColumns}, m.*
        from conversation c left join contact p on p.id = c.contact_id
        left join lateral (${pageOf(window, start)}) m on true
        where c.id = ${conversationId}::uuid order by m.m_sent_at ${direction}, m.m_sequence ${direction}`;
}

/** The same with a text that is put together once for each form of a page. */
function fixedPage(conversationId: string, window: PageWindow, start: Start) {
  const build = () => pageWithConversation(conversationId, window, start);
  const key = `messages ${window.limit} ${window.backwards} ${start.form}`;
  // In the order of the text: the page stands before the condition on the conversation.
  return { key, parameters: [...start.parameters, conversationId], build };
}

/** @returns null for an unknown conversation @throws InvalidInput sizes, combinations, cursors */
export async function findMessagesOf(
  ctx: Ctx,
  conversationId: string,
  request: PageRequest,
): Promise<ConversationWithPage | null> {
  allow(ctx, 'conversation');
  const window = pageWindow('messages', request);
  const start = window.place ? await startAt(ctx, [conversationId], window.place, window.backwards) : fromTheEnd;
  const found = await readFixed(ctx, fixedPage(conversationId, window, start));
  const [first] = found;
  if (!first) return null;
  const [source] = await findSourcesById(ctx, [first.c_source]);
  const contact = toContact(first);
  const messages = found
    .filter((row): row is MessageColumns & ConversationPageColumns => row.m_id !== null)
    .map((row) => withSender(toMessage(row), contact, source!));
  return {
    id: conversationId,
    legacyId: conversationId,
    sourceId: source!.sourceId,
    messageCount: first.c_message_count,
    page: toPage(window, messages, start.isInside),
  };
}

/** The opaque place of a message in its conversation. */
export function messageCursor(message: LoadedMessage): string {
  return encodeCursor('messages', [message.sentAt.getTime(), message.sequence, message.conversationId]);
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findMessages(ctx: Ctx, ids: readonly string[]): Promise<(LoadedMessage | null)[]> {
  const found = await readRows(
    ctx,
    sql<MessageColumns>`select ${messageColumns} from message m where m.id = any(${ids.filter(isUuid)}::uuid[])`,
  );
  return inOrderOf(ids, found.map(toMessage));
}
