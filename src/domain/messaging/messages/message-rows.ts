import { sql } from 'kysely';
import { epochMs } from '../../statement.ts';
import type { Contact } from '../contacts/contact.entity.ts';
import type { Source } from '../sources/source.entity.ts';
import type { DeliveryState, Message, MessageFailure, SenderType } from './message.entity.ts';

/** Columns of a message as one statement reads them, under a prefix so that they can stand beside others. */
export interface MessageColumns {
  m_id: string;
  m_conversation_id: string;
  m_source: string;
  m_source_message_id: string | null;
  m_sequence: number;
  m_from_contact: boolean;
  m_sender_type: SenderType;
  m_sender_id: string;
  m_content: unknown;
  m_delivery_state: DeliveryState;
  m_failure: MessageFailure | null;
  m_metadata: Record<string, unknown>;
  m_sent_at: number;
  m_created_at: number;
}

/** For `select`, of a table called m. */
export const messageColumns = sql.raw(`
  m.id m_id, m.conversation_id m_conversation_id, m.source m_source, m.source_message_id m_source_message_id,
  m.sequence m_sequence, m.from_contact m_from_contact, m.sender_type m_sender_type, m.sender_id m_sender_id,
  m.content m_content, m.delivery_state m_delivery_state, m.failure m_failure, m.metadata m_metadata,
  ${epochMs('m.sent_at')} m_sent_at, ${epochMs('m.created_at')} m_created_at`);

/** What nearly every reader of a list of conversations asks of a last message. */
export const frequentMessageColumns = sql.raw(`
  m.id m_id, m.from_contact m_from_contact, m.sender_type m_sender_type, m.sender_id m_sender_id, m.content m_content,
  m.delivery_state m_delivery_state, m.metadata m_metadata, ${epochMs('m.sent_at')} m_sent_at`);

/** With the fields under the names of the schema: a resolver for each would cost more than reading them. */
export function toMessage(row: MessageColumns): LoadedMessage {
  return {
    id: row.m_id,
    legacyId: row.m_id,
    conversationId: row.m_conversation_id,
    source: row.m_source,
    sourceMessageId: row.m_source_message_id,
    sequence: row.m_sequence,
    fromContact: row.m_from_contact,
    senderType: row.m_sender_type,
    senderId: row.m_sender_id,
    content: row.m_content,
    raw: row.m_content,
    deliveryState: row.m_delivery_state,
    failure: row.m_failure,
    metadata: row.m_metadata,
    sentAt: new Date(row.m_sent_at),
    createdAt: new Date(row.m_created_at),
  };
}

/** A message as data, with its sender where that is known already. */
export interface LoadedMessage extends Readable<Message> {
  sender?: Pick<Contact, 'id'> | Source;
}

/** Most messages of a conversation are of its contact or of its source: neither is looked up for each of them. */
export function withSender(message: LoadedMessage, contact: Pick<Contact, 'id'> | null, source: Source): LoadedMessage {
  if (message.senderType === 'CONTACT' && contact?.id === message.senderId) message.sender = contact;
  else if (message.senderType === 'SOURCE') message.sender = source;
  return message;
}

type Readable<Entity> = { [Name in keyof Entity]: Entity[Name] };
