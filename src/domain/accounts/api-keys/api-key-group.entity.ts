import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** A named set of keys; which ones stands in `api_key_group_member`. */
@Entity({ tableName: 'api_key_group' })
export class ApiKeyGroup {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** A group has no REST side; the id. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
