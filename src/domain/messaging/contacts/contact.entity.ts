import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** The outside party, known by the sender id of a source. */
@Entity({ tableName: 'contact' })
export class Contact {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text', nullable: true })
  displayName: string | null = null;

  @Property({ type: 'text', nullable: true })
  firstName: string | null = null;

  @Property({ type: 'text', nullable: true })
  lastName: string | null = null;

  @Property({ type: 'text', nullable: true })
  avatarUrl: string | null = null;

  @Property({ type: 'text', nullable: true })
  externalId: string | null = null;

  @Property({ type: 'text', nullable: true })
  title: string | null = null;

  @Property({ type: 'text', nullable: true })
  gender: string | null = null;

  /** Hours from UTC. */
  @Property({ type: 'integer', nullable: true })
  timezone: number | null = null;

  @Property({ type: 'text', nullable: true })
  locale: string | null = null;

  @Property({ type: 'text', nullable: true })
  organizationName: string | null = null;

  /** Ids elsewhere, by kind. */
  @Property({ type: 'json' })
  via: Record<string, string> = {};

  @Property({ type: 'json' })
  address: Record<string, string> = {};

  @Property({ type: 'json' })
  metadata: Record<string, unknown> = {};

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;
}
