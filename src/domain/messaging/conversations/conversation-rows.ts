import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { totalOf } from '../../counters.ts';
import { epochMs, readOnce, readRows } from '../../statement.ts';
import type { Channel } from '../channels/channel.entity.ts';
import {
  type ContactColumns,
  contactColumns,
  frequentContactColumns,
  type ShownContact,
  toContact,
} from '../contacts/contact.service.ts';
import {
  frequentMessageColumns,
  type LoadedMessage,
  type MessageColumns,
  messageColumns,
  toMessage,
  withSender,
} from '../messages/message.service.ts';
import type { Source } from '../sources/source.entity.ts';
import { findSourcesById } from '../sources/source.service.ts';
import type { Tag, TagColor } from '../tags/tag.entity.ts';
import type { Conversation, ConversationState } from './conversation.entity.ts';

/** A conversation with what every list shows of it, read by one statement: entities would cost ten times as much. */
export interface LoadedConversation extends Omit<Conversation, 'nextSequence'> {
  /** The id that REST shows. */
  legacyId: string;
  /** The name of the source. */
  sourceId: string;
  channel: ShownChannel;
  contact: ShownContact | null;
  lastMessage: LoadedMessage | null;
  tags: ShownTag[];
}

/** What is shown of them: the rest is not read with each row of a list. */
export type ShownChannel = Omit<Channel, 'updatedAt'>;
export type ShownTag = Omit<Tag, 'createdAt'>;

type NullableMessageColumns = { [K in keyof MessageColumns]: MessageColumns[K] | null };

export interface ConversationColumns extends NullableMessageColumns, ContactColumns {
  c_id: string;
  c_source: string;
  c_source_conversation_id: string;
  c_channel_id: string;
  c_contact_id: string | null;
  c_state: ConversationState;
  c_assignee_id: string | null;
  c_metadata: Record<string, unknown>;
  c_unread_count: number;
  c_message_count: number;
  c_last_message_at: number;
  c_last_message_id: string | null;
  c_created_at: number;
  c_updated_at: number;
  h_source_channel_id: string;
  h_name: string;
  h_image_url: string | null;
  h_metadata: Record<string, unknown>;
  h_connected: boolean;
  h_created_at: number;
  total_conversations?: number;
  total_unread?: number;
  matches?: number;
  tags: { id: string; name: string; color: TagColor }[] | null;
}

const frequentColumns = sql.raw(`
  c.id c_id, c.source c_source, c.channel_id c_channel_id, c.contact_id c_contact_id, c.state c_state,
  c.metadata c_metadata, c.unread_count c_unread_count, c.message_count c_message_count,
  ${epochMs('c.last_message_at')} c_last_message_at, ${epochMs('c.created_at')} c_created_at,
  h.source_channel_id h_source_channel_id, h.name h_name, h.image_url h_image_url, h.metadata h_metadata,
  h.connected h_connected`);
const otherColumns = sql.raw(`
  c.source_conversation_id c_source_conversation_id, c.assignee_id c_assignee_id, c.last_message_id c_last_message_id,
  ${epochMs('c.updated_at')} c_updated_at, ${epochMs('h.created_at')} h_created_at`);
const allColumns = sql`${frequentColumns}, ${otherColumns}, ${contactColumns}, ${messageColumns}`;
const fewColumns = sql`${frequentColumns}, ${frequentContactColumns}, ${frequentMessageColumns}`;

/** Fields of the schema that the few columns have nothing for. */
export const fieldsOfAllColumns = [
  'Conversation.sourceConversationId',
  'Conversation.assignee',
  'Conversation.updatedAt',
  'Channel.createdAt',
  'Contact.externalId',
  'Contact.metadata',
  'Message.conversation',
  'Message.sequence',
  'Message.sourceMessageId',
  'Message.failure',
  'Message.createdAt',
];

const nothing = sql``;
const totalColumns = sql.raw(
  `, ${totalOf('conversations')} total_conversations, ${totalOf('unread_messages')} total_unread`,
);

export interface ConversationRowsQuery {
  /** What gives the rows of `conversation c`: see `conversationsOfIds`, `pageByRecency` and `pagesOfContacts`. */
  from: RawBuilder<unknown>;
  backwards?: boolean;
  /** With the totals of all conversations in each row. */
  totals?: true;
  /** SQL of the number of matches, in each row. */
  matches?: RawBuilder<unknown>;
  /** `from` gives one row in any case, for the number of matches: without a conversation where the page has none. */
  isOuter?: true;
  /** Hardly asked twice. */
  isOneOff?: boolean;
  /** Without `fieldsOfAllColumns`: what is read of them then has no meaning. */
  fewColumns?: boolean;
}

export interface RowsWindow {
  /** Which part of the list, for the columns `last_message_at` and `conversation_id`. */
  where: RawBuilder<unknown>;
  backwards: boolean;
  limit: number;
  offset: number;
}

export function conversationsOfIds(ids: readonly string[]): RawBuilder<unknown> {
  return sql`(select * from conversation where id = any(${[...ids]}::uuid[])) c`;
}

/** The page comes first, from the index alone; what hangs on it is joined to those rows only. */
export function pageByRecency(window: RowsWindow): RawBuilder<unknown> {
  return sql`(select conversation_id from conversation_recency where ${window.where} ${orderAndLimit(window)}) r
        join conversation c on c.id = r.conversation_id`;
}

/** A page of each of these contacts instead of one of all. */
export function pagesOfContacts(contactIds: readonly string[], window: RowsWindow): RawBuilder<unknown> {
  return sql`unnest(${[...contactIds]}::uuid[]) k(id) cross join lateral (
          select * from (select id conversation_id, * from conversation) c
          where c.contact_id = k.id and ${window.where} ${orderAndLimit(window)}) c`;
}

export function orderAndLimit({ backwards, limit, offset }: RowsWindow): RawBuilder<unknown> {
  const direction = directionOf(backwards);
  // The limit is part of the text: with a parameter for it PostgreSQL would plan the statement anew each time.
  return sql`order by last_message_at ${direction}, conversation_id ${direction}
          limit ${sql.lit(limit)} ${offset > 0 ? sql`offset ${offset}::int` : nothing}`;
}

function directionOf(backwards: boolean): RawBuilder<unknown> {
  return backwards ? sql`asc` : sql`desc`;
}

export async function readConversationRows(ctx: Ctx, query: ConversationRowsQuery): Promise<ConversationColumns[]> {
  const direction = directionOf(query.backwards ?? false);
  const read = query.isOneOff ? readOnce : readRows;
  return read(
    ctx,
    sql<ConversationColumns>`select ${query.fewColumns ? fewColumns : allColumns},
          (select json_agg(json_build_object('id', t.id, 'name', t.name, 'color', t.color) order by t.name, t.id)
            from conversation_tag ct join tag t on t.id = ct.tag_id where ct.conversation_id = c.id) tags
          ${query.totals ? totalColumns : nothing}
          ${query.matches ? sql`, ${query.matches} matches` : nothing}
        from ${query.from}
        ${query.isOuter ? sql`left` : nothing} join channel h on h.id = c.channel_id
        left join contact p on p.id = c.contact_id
        left join message m on m.id = c.last_message_id
        order by c.last_message_at ${direction}, c.id ${direction}`,
  );
}

/** With their sources, which are read once a second. */
export async function toConversations(ctx: Ctx, found: readonly ConversationColumns[]): Promise<LoadedConversation[]> {
  const ids = [...new Set(found.map((row) => row.c_source))];
  const sources = await findSourcesById(ctx, ids);
  const byId = new Map(ids.map((id, index) => [id, sources[index]!]));
  return found.map((row) => toConversation(row, byId.get(row.c_source)!));
}

function toConversation(row: ConversationColumns, source: Source): LoadedConversation {
  const contact = toContact(row);
  return {
    id: row.c_id,
    legacyId: row.c_id,
    source: row.c_source,
    sourceId: source.sourceId,
    sourceConversationId: row.c_source_conversation_id,
    channelId: row.c_channel_id,
    contactId: row.c_contact_id,
    state: row.c_state,
    assigneeId: row.c_assignee_id,
    metadata: row.c_metadata,
    unreadCount: row.c_unread_count,
    messageCount: row.c_message_count,
    lastMessageAt: new Date(row.c_last_message_at),
    lastMessageId: row.c_last_message_id,
    createdAt: new Date(row.c_created_at),
    updatedAt: new Date(row.c_updated_at),
    channel: toChannel(row),
    contact,
    lastMessage: row.m_id === null ? null : withSender(toMessage(row as MessageColumns), contact, source),
    tags: row.tags?.map((tag) => ({ ...tag, legacyId: tag.id })) ?? [],
  };
}

function toChannel(row: ConversationColumns): ShownChannel {
  return {
    id: row.c_channel_id,
    legacyId: row.c_channel_id,
    source: row.c_source,
    sourceChannelId: row.h_source_channel_id,
    name: row.h_name,
    imageUrl: row.h_image_url,
    metadata: row.h_metadata,
    connected: row.h_connected,
    createdAt: new Date(row.h_created_at),
  };
}
