import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** A content to send again and again, as one kind of source wants it. */
@Entity({ tableName: 'message_template' })
export class MessageTemplate {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  /** The name of the source. */
  @Property({ type: 'text' })
  sourceId!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'json' })
  content!: unknown;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
