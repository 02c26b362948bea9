import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** One exchange with an action endpoint. Secrets are masked before the row is built. */
@Entity({ tableName: 'delivery_attempt' })
export class DeliveryAttempt {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'uuid' })
  source!: string;

  @Property({ type: 'uuid' })
  conversationId!: string;

  @Property({ type: 'uuid' })
  messageId!: string;

  @Property({ type: 'integer' })
  attempt!: number;

  @Property({ type: 'text' })
  url!: string;

  @Property({ type: 'integer', nullable: true })
  statusCode: number | null = null;

  @Property({ type: 'text', nullable: true })
  error: string | null = null;

  @Property({ type: 'integer' })
  durationMs!: number;

  @Property({ type: 'json' })
  request!: unknown;

  @Property({ type: 'json', nullable: true })
  response: unknown = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  at!: Date;

  get legacyId(): Opt<string> {
    return this.id as Opt<string>;
  }
}
