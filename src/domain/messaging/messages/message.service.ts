import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { isUuid } from '../../ids.ts';
import {
  encodeCursor,
  type Page,
  type PageRequest,
  type PageWindow,
  type Place,
  pageWindow,
  toPage,
  unknownCursor,
} from '../../paging.ts';
import { rows } from '../../statement.ts';
import type { Message } from './message.entity.ts';
import { type MessageColumns, messageColumns, toMessage } from './message-rows.ts';

export { type MessageColumns, messageColumns, toMessage } from './message-rows.ts';

/**
 * A page of the messages of each of several conversations, oldest to latest by (sentAt, sequence), in one statement;
 * whoever calls has checked the rights. `after` and `before` mean the same place in each.
 */
export async function listMessages(
  ctx: Ctx,
  conversationIds: readonly string[],
  request: PageRequest,
): Promise<Page<Message>[]> {
  const window = pageWindow('messages', request);
  const found = await readPages(ctx, conversationIds, window);
  const byConversation = new Map<string, Message[]>(conversationIds.map((id) => [id, []]));
  for (const row of found) byConversation.get(row.m_conversation_id)?.push(toMessage(row));
  return conversationIds.map((id) => toPage(window, byConversation.get(id) ?? [], startsInside(window.place)));
}

// An id or an offset may be the very first; a key was the end of a page.
function startsInside(place: Place | undefined): boolean {
  return place !== undefined && !(place.kind === 'offset' && place.offset === 0);
}

async function readPages(ctx: Ctx, conversationIds: readonly string[], window: PageWindow): Promise<MessageColumns[]> {
  const direction = window.backwards ? sql`desc` : sql`asc`;
  const { place } = window;
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const condition =
    place && place.kind !== 'offset' ? sql`and ${await placeCondition(ctx, place, window.backwards)}` : sql``;
  return rows<MessageColumns>(
    ctx.em,
    sql`select m.* from unnest(${[...conversationIds]}::uuid[]) with ordinality c(id, n)
        cross join lateral (
          select ${messageColumns} from message m where m.conversation_id = c.id ${condition}
          order by m.sent_at ${direction}, m.sequence ${direction}
          limit ${sql.lit(window.limit + 1)} offset ${sql.lit(offset)}) m
        order by c.n, m.m_sent_at ${direction}, m.m_sequence ${direction}`,
  );
}

// The values go in as scalars: a row compared with a row subquery cannot use the index.
async function placeCondition(ctx: Ctx, place: Exclude<Place, { kind: 'offset' }>, backwards: boolean) {
  if (place.kind === 'id') {
    const [at] = await findMessages(ctx, [place.id]);
    if (!at) throw unknownCursor(place.path);
    const compare = backwards ? sql`<` : sql`>=`;
    return sql`(m.sent_at, m.sequence) ${compare} (${at.sentAt.toISOString()}::timestamptz, ${at.sequence}::int)`;
  }
  const [sentAt, sequence] = place.key;
  if (
    !Number.isSafeInteger(sentAt) ||
    !Number.isSafeInteger(sequence) ||
    Math.abs(sequence as number) > 2 ** 31 - 1 ||
    Math.abs(sentAt as number) > 8.64e15
  ) {
    throw unknownCursor(place.path);
  }
  const compare = backwards ? sql`<` : sql`>`;
  return sql`(m.sent_at, m.sequence) ${compare} (to_timestamp(${sentAt}::float8 / 1000), ${sequence}::int)`;
}

/** The opaque place of a message in its conversation. */
export function messageCursor(message: Message): string {
  return encodeCursor('messages', [message.sentAt.getTime(), message.sequence]);
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findMessages(ctx: Ctx, ids: readonly string[]): Promise<(Message | null)[]> {
  const found = await rows<MessageColumns>(
    ctx.em,
    sql`select ${messageColumns} from message m where m.id = any(${ids.filter(isUuid)}::uuid[])`,
  );
  const byId = new Map(found.map((row) => [row.m_id, toMessage(row)]));
  return ids.map((id) => byId.get(id) ?? null);
}
