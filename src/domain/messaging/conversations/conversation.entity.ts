import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

export type ConversationState = 'OPEN' | 'SNOOZED' | 'CLOSED';

@Entity({ tableName: 'conversation' })
export class Conversation {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'uuid' })
  source!: string;

  @Property({ type: 'text' })
  sourceConversationId!: string;

  @Property({ type: 'uuid' })
  channelId!: string;

  /** Null until the contact's first message. */
  @Property({ type: 'uuid', nullable: true })
  contactId: string | null = null;

  @Property({ type: 'text' })
  state: ConversationState = 'OPEN';

  @Property({ type: 'uuid', nullable: true })
  assigneeId: string | null = null;

  @Property({ type: 'json' })
  metadata: Record<string, unknown> = {};

  /** Messages of the contact since the last reading. */
  @Property({ type: 'integer' })
  unreadCount = 0;

  @Property({ type: 'integer' })
  messageCount = 0;

  @Property({ type: 'integer' })
  nextSequence = 1;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  lastMessageAt!: Date;

  /** Latest by (sentAt, sequence). */
  @Property({ type: 'uuid', nullable: true })
  lastMessageId: string | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  updatedAt!: Date;
}
