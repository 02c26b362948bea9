import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

export type TagColor = 'RED' | 'BLUE' | 'GREEN' | 'PURPLE';

@Entity({ tableName: 'tag' })
export class Tag {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'text' })
  color!: TagColor;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
