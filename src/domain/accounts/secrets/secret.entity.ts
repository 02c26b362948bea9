import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** A value that may be sent to one origin and is never shown. */
@Entity({ tableName: 'secret' })
export class Secret {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  /** As it is written in a template: `{{ secrets.<name> }}`. */
  @Property({ type: 'text' })
  name!: string;

  /** `scheme://host[:port]` as WHATWG URL writes it. */
  @Property({ type: 'text' })
  origin!: string;

  @Property({ type: 'text', hidden: true })
  valueEncrypted!: string;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  updatedAt!: Date;

  /** A secret has no REST side; the id. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
