import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

export type SenderType = 'CONTACT' | 'USER' | 'BOT' | 'CAMPAIGN' | 'SOURCE';
export type DeliveryState = 'PENDING' | 'SENT' | 'DELIVERED' | 'READ' | 'FAILED';

/** Why a message was not delivered, or not yet. */
export interface MessageFailure {
  code: string;
  message: string;
  retryable: boolean;
  /** ISO 8601, while it waits for its next attempt. */
  nextAttemptAt: string | null;
}

@Entity({ tableName: 'message' })
export class Message {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'uuid' })
  conversationId!: string;

  @Property({ type: 'uuid' })
  source!: string;

  /** The source's id of it; null until the source took a message of ours. */
  @Property({ type: 'text', nullable: true })
  sourceMessageId: string | null = null;

  /** Arrival number within the conversation. */
  @Property({ type: 'integer' })
  sequence!: number;

  @Property({ type: 'boolean' })
  fromContact!: boolean;

  @Property({ type: 'text' })
  senderType!: SenderType;

  /** Contact or user id; for SOURCE the sender id of the source. */
  @Property({ type: 'text' })
  senderId!: string;

  @Property({ type: 'json' })
  content: unknown;

  @Property({ type: 'text' })
  deliveryState!: DeliveryState;

  @Property({ type: 'json', nullable: true })
  failure: MessageFailure | null = null;

  @Property({ type: 'json' })
  metadata: Record<string, unknown> = {};

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  sentAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.id;
  }

  /** Its content as it is, beside what a client can show of it. */
  get raw(): unknown {
    return this.content;
  }
}
