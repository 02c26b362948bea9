import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { rows } from '../../statement.ts';
import type { Channel } from '../channels/channel.entity.ts';
import type { Contact } from '../contacts/contact.entity.ts';
import type { Message } from '../messages/message.entity.ts';
import { type MessageColumns, messageColumns, toMessage } from '../messages/message.service.ts';
import type { Tag, TagColor } from '../tags/tag.entity.ts';
import type { Conversation, ConversationState } from './conversation.entity.ts';

/** A conversation with what every list shows of it, read by one statement: entities would cost ten times as much. */
export interface LoadedConversation extends Conversation {
  /** The name of the source. */
  sourceName: string;
  channel: Channel;
  contact: Contact | null;
  lastMessage: Message | null;
  tags: Tag[];
}

type NullableMessageColumns = { [K in keyof MessageColumns]: MessageColumns[K] | null };

export interface ConversationColumns extends NullableMessageColumns {
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
  c_next_sequence: number;
  c_last_message_at: number;
  c_last_message_id: string | null;
  c_created_at: number;
  c_updated_at: number;
  s_source_id: string;
  h_source_channel_id: string;
  h_name: string;
  h_image_url: string | null;
  h_metadata: Record<string, unknown>;
  h_connected: boolean;
  h_created_at: number;
  h_updated_at: number;
  p_display_name: string | null;
  p_first_name: string | null;
  p_last_name: string | null;
  p_avatar_url: string | null;
  p_external_id: string | null;
  p_metadata: Record<string, unknown> | null;
  p_created_at: number | null;
  tags: { id: string; name: string; color: TagColor; created_at: string }[] | null;
}

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;

const columns = sql.raw(`
  c.id c_id, c.source c_source, c.source_conversation_id c_source_conversation_id, c.channel_id c_channel_id,
  c.contact_id c_contact_id, c.state c_state, c.assignee_id c_assignee_id, c.metadata c_metadata,
  c.unread_count c_unread_count, c.message_count c_message_count, c.next_sequence c_next_sequence,
  ${ms('c.last_message_at')} c_last_message_at, c.last_message_id c_last_message_id,
  ${ms('c.created_at')} c_created_at, ${ms('c.updated_at')} c_updated_at,
  s.source_id s_source_id,
  h.source_channel_id h_source_channel_id, h.name h_name, h.image_url h_image_url, h.metadata h_metadata,
  h.connected h_connected, ${ms('h.created_at')} h_created_at, ${ms('h.updated_at')} h_updated_at,
  p.display_name p_display_name, p.first_name p_first_name, p.last_name p_last_name, p.avatar_url p_avatar_url,
  p.external_id p_external_id, p.metadata p_metadata, ${ms('p.created_at')} p_created_at`);

export interface ConversationRowsQuery {
  where: RawBuilder<unknown>;
  backwards: boolean;
  limit: number;
  offset: number;
  /** A page of each of these contacts instead of one of all. */
  ofContacts?: readonly string[];
}

/** The page comes first, from the index alone; what hangs on it is joined to those rows only. */
export async function readConversationRows(ctx: Ctx, query: ConversationRowsQuery): Promise<ConversationColumns[]> {
  const { ofContacts } = query;
  const direction = query.backwards ? sql`asc` : sql`desc`;
  const page = sql`(select * from conversation c where ${ofContacts ? sql`c.contact_id = k.id and` : sql``} ${query.where}
          order by c.last_message_at ${direction}, c.id ${direction}
          limit ${query.limit}::int offset ${query.offset}::int) c`;
  const pages = ofContacts ? sql`unnest(${[...ofContacts]}::uuid[]) k(id) cross join lateral ${page}` : page;
  return rows<ConversationColumns>(
    ctx.em,
    sql`select ${columns}, ${messageColumns},
          (select json_agg(json_build_object('id', t.id, 'name', t.name, 'color', t.color, 'created_at', t.created_at) order by t.name, t.id)
            from conversation_tag ct join tag t on t.id = ct.tag_id where ct.conversation_id = c.id) tags
        from ${pages}
        join source s on s.id = c.source
        join channel h on h.id = c.channel_id
        left join contact p on p.id = c.contact_id
        left join message m on m.id = c.last_message_id
        order by c.last_message_at ${direction}, c.id ${direction}`,
  );
}

export function toConversation(row: ConversationColumns): LoadedConversation {
  return {
    id: row.c_id,
    source: row.c_source,
    sourceName: row.s_source_id,
    sourceConversationId: row.c_source_conversation_id,
    channelId: row.c_channel_id,
    contactId: row.c_contact_id,
    state: row.c_state,
    assigneeId: row.c_assignee_id,
    metadata: row.c_metadata,
    unreadCount: row.c_unread_count,
    messageCount: row.c_message_count,
    nextSequence: row.c_next_sequence,
    lastMessageAt: new Date(row.c_last_message_at),
    lastMessageId: row.c_last_message_id,
    createdAt: new Date(row.c_created_at),
    updatedAt: new Date(row.c_updated_at),
    channel: toChannel(row),
    contact: row.c_contact_id === null ? null : toContact(row, row.c_contact_id),
    lastMessage: row.m_id === null ? null : toMessage(row as MessageColumns),
    tags: (row.tags ?? []).map((tag) => ({
      id: tag.id,
      name: tag.name,
      color: tag.color,
      createdAt: new Date(tag.created_at),
    })),
  };
}

function toChannel(row: ConversationColumns): Channel {
  return {
    id: row.c_channel_id,
    source: row.c_source,
    sourceChannelId: row.h_source_channel_id,
    name: row.h_name,
    imageUrl: row.h_image_url,
    metadata: row.h_metadata,
    connected: row.h_connected,
    createdAt: new Date(row.h_created_at),
    updatedAt: new Date(row.h_updated_at),
  };
}

function toContact(row: ConversationColumns, id: string): Contact {
  return {
    id,
    displayName: row.p_display_name,
    firstName: row.p_first_name,
    lastName: row.p_last_name,
    avatarUrl: row.p_avatar_url,
    externalId: row.p_external_id,
    metadata: row.p_metadata ?? {},
    createdAt: new Date(row.p_created_at ?? 0),
  };
}
