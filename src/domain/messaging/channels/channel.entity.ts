import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** One account, page, number or mailbox of a source. Its credentials stand in a table of their own. */
@Entity({ tableName: 'channel' })
export class Channel {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'uuid' })
  source!: string;

  @Property({ type: 'text' })
  sourceChannelId!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'text', nullable: true })
  imageUrl: string | null = null;

  /** Without `token`, `page_token`, `name` and `image_url`, which have places of their own. */
  @Property({ type: 'json' })
  metadata: Record<string, unknown> = {};

  @Property({ type: 'boolean' })
  connected = true;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  updatedAt!: Date;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
