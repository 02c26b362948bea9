import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** What is sent along with calls of ours to one origin, and shown to nobody. */
@Entity({ tableName: 'secret' })
export class Secret {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  /** As it is written: `{{ secrets.crm_key }}`. */
  @Property({ type: 'text' })
  name!: string;

  /** The only one that it is sent to. */
  @Property({ type: 'text' })
  origin!: string;

  @Property({ type: 'text', hidden: true })
  valueEncrypted!: string;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  updatedAt!: Date;

  get legacyId(): Opt<string> {
    return this.id;
  }
}
