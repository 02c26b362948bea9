import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { readCounters } from '../../counters.ts';
import { isUuid } from '../../ids.ts';
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
import { rows } from '../../statement.ts';
import { sourceNames } from '../sources/source.service.ts';
import { findConversations } from './conversation.service.ts';
import { type ConversationFilter, filterOf } from './conversation-filter.ts';
import {
  type ConversationRowsQuery,
  type LoadedConversation,
  pagesOfContacts,
  type RowsWindow,
  readConversationRows,
  toConversations,
} from './conversation-rows.ts';
import { countMatches, findMatches } from './filter-pages.ts';
import { matchesAll } from './filter-plan.ts';

export type { ConversationFilter, ConversationTerms } from './conversation-filter.ts';

export interface ConversationPage extends Page<LoadedConversation> {
  /** Counted only when asked for. */
  total(): number | Promise<number>;
  /** null when counting takes too long. */
  filteredTotal(): number | null | Promise<number | null>;
  unreadTotal(): number | Promise<number>;
}

export interface ConversationsRequest extends PageRequest, Pick<ConversationRowsQuery, 'fewColumns'> {
  filter?: ConversationFilter | null;
}

/**
 * Lists conversations, newest activity first, ties by id downwards. One statement for the page with channel, contact,
 * tags and last message; totals come from counters where there are some for the filter.
 *
 * @throws InvalidInput the page, or a filter that does not parse: the message names the column
 * @see Airy Core HTTP API, "List conversations" and "Pagination"
 */
export async function listConversations(ctx: Ctx, request: ConversationsRequest): Promise<ConversationPage> {
  allow(ctx, 'conversations');
  const window = pageWindow('conversations', request);
  const { place, backwards } = window;
  const filter = filterOf(request.filter ?? {});
  const asked = { filter, sources: matchesAll(filter) ? [] : await sourceNames(ctx) };
  const { found, matches } = await findMatches(ctx, asked, {
    window: await rowsWindow(ctx, window),
    fewColumns: request.fewColumns,
  });
  const [first] = found;
  let read: Promise<Record<'conversations' | 'unread_messages', number>> | undefined;
  const counters = () => {
    read ??= readCounters(ctx, ['conversations', 'unread_messages']);
    return read;
  };
  // Each row has the totals; a page without rows has none.
  const total = () => first?.total_conversations ?? counters().then(({ conversations }) => conversations);
  const unreadTotal = () => first?.total_unread ?? counters().then(({ unread_messages }) => unread_messages);
  let counting: Promise<number | null> | undefined;
  const filteredTotal = () => {
    if (matches !== undefined) return matches;
    counting ??= countMatches(ctx, asked);
    return counting;
  };
  const hasBefore = async () => {
    if (!place || (place.kind === 'offset' && place.offset === 0)) return false;
    if (place.kind !== 'id' || backwards) return true;
    // A bare id begins the page: whether something stands before it is not known.
    if (!first) return false;
    const key = [first.c_last_message_at, first.c_id];
    const before = { limit: 0, backwards: true, place: { kind: 'key', key, path: place.path } as const };
    return (
      (await findMatches(ctx, asked, { window: await rowsWindow(ctx, before), fewColumns: true })).found.length > 0
    );
  };
  return { ...toPage(window, await toConversations(ctx, found), await hasBefore()), total, filteredTotal, unreadTotal };
}

/**
 * A page of the conversations of each of several contacts, in one statement, and their totals in another; the caller
 * has checked the rights.
 */
export async function listContactConversations(
  ctx: Ctx,
  contactIds: readonly string[],
  request: PageRequest,
): Promise<ConversationPage[]> {
  const window = pageWindow('conversations', request);
  const { place, backwards } = window;
  const from = pagesOfContacts(contactIds, await rowsWindow(ctx, window));
  const found = await readConversationRows(ctx, { from, backwards });
  const byContact = new Map<string, LoadedConversation[]>(contactIds.map((id) => [id, []]));
  for (const conversation of await toConversations(ctx, found)) {
    byContact.get(conversation.contactId ?? '')?.push(conversation);
  }
  let read: ReturnType<typeof contactTotals> | undefined;
  const totals = async (contactId: string) => {
    read ??= contactTotals(ctx, contactIds);
    return (await read).get(contactId) ?? { count: 0, unread: 0 };
  };
  const isInside = place !== undefined && !(place.kind === 'offset' && place.offset === 0);
  return contactIds.map((id) => ({
    ...toPage(window, byContact.get(id) ?? [], isInside),
    total: async () => (await totals(id)).count,
    filteredTotal: async () => (await totals(id)).count,
    unreadTotal: async () => (await totals(id)).unread,
  }));
}

async function contactTotals(
  ctx: Ctx,
  contactIds: readonly string[],
): Promise<Map<string, { count: number; unread: number }>> {
  const found = await rows<{ contact_id: string; count: number; unread: number }>(
    ctx.em,
    sql`select contact_id::text, count(*)::int count, sum(unread_count)::int unread from conversation
        where contact_id = any(${[...contactIds]}::uuid[]) group by contact_id`,
  );
  return new Map(found.map(({ contact_id, ...totals }) => [contact_id, totals]));
}

async function rowsWindow(ctx: Ctx, { place, backwards, limit }: PageWindow): Promise<RowsWindow> {
  const where = place && place.kind !== 'offset' ? await placeCondition(ctx, place, backwards) : sql`true`;
  // One more tells whether there is a page behind it.
  return { where, backwards, limit: limit + 1, offset: place?.kind === 'offset' ? place.offset : 0 };
}

// The list runs downwards: behind a place is what is smaller. A bare id means its present place and itself.
async function placeCondition(
  ctx: Ctx,
  place: Exclude<Place, { kind: 'offset' }>,
  backwards: boolean,
): Promise<RawBuilder<unknown>> {
  if (place.kind === 'id') {
    const [at] = await findConversations(ctx, [place.id]);
    if (!at) throw unknownCursor(place.path);
    const compare = backwards ? sql`>` : sql`<=`;
    return sql`(last_message_at, conversation_id) ${compare} (${at.lastMessageAt.toISOString()}::timestamptz, ${at.id}::uuid)`;
  }
  const [at, id] = place.key;
  if (typeof id !== 'string' || !isUuid(id)) throw unknownCursor(place.path);
  const compare = backwards ? sql`>` : sql`<`;
  // As text: a floating-point number of seconds is not exact in far years, and the page would repeat for ever.
  return sql`(last_message_at, conversation_id) ${compare} (${instantOfKey(at, place.path).toISOString()}::timestamptz, ${id}::uuid)`;
}

/** The opaque place of a conversation: a conversation that moves while a client pages never loops it. */
export function conversationCursor(conversation: LoadedConversation): string {
  return encodeCursor('conversations', [conversation.lastMessageAt.getTime(), conversation.id]);
}
