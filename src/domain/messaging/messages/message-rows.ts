import { sql } from 'kysely';
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

/** For `select`, of a table called m. Times as epoch milliseconds: a number is cheaper to read than a text. */
export const messageColumns = sql.raw(`
  m.id m_id, m.conversation_id m_conversation_id, m.source m_source, m.source_message_id m_source_message_id,
  m.sequence m_sequence, m.from_contact m_from_contact, m.sender_type m_sender_type, m.sender_id m_sender_id,
  m.content m_content, m.delivery_state m_delivery_state, m.failure m_failure, m.metadata m_metadata,
  (extract(epoch from m.sent_at) * 1000)::float8 m_sent_at, (extract(epoch from m.created_at) * 1000)::float8 m_created_at`);

export function toMessage(row: MessageColumns): Message {
  return {
    id: row.m_id,
    conversationId: row.m_conversation_id,
    source: row.m_source,
    sourceMessageId: row.m_source_message_id,
    sequence: row.m_sequence,
    fromContact: row.m_from_contact,
    senderType: row.m_sender_type,
    senderId: row.m_sender_id,
    content: row.m_content,
    deliveryState: row.m_delivery_state,
    failure: row.m_failure,
    metadata: row.m_metadata,
    sentAt: new Date(row.m_sent_at),
    createdAt: new Date(row.m_created_at),
  };
}
