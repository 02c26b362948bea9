import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { Role } from '../../context.ts';

/** A person who works in the inbox. */
@Entity({ tableName: 'user_account' })
export class UserAccount {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  email!: string;

  /** What "the same address" means: see `emailKey`. */
  @Property({ type: 'text' })
  emailKey!: string;

  @Property({ type: 'text', hidden: true })
  passwordHash!: string;

  @Property({ type: 'text' })
  firstName!: string;

  @Property({ type: 'text' })
  lastName!: string;

  @Property({ type: 'text', nullable: true })
  avatarUrl: string | null = null;

  @Property({ type: 'text' })
  role!: Role;

  /** Tokens carry it; raising it ends them. */
  @Property({ type: 'integer' })
  tokenVersion = 1;

  @Property({ type: 'boolean' })
  active = true;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** When the person first signed in. */
  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  firstSeenAt: Date | null = null;

  /** When the person last signed in. */
  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  lastSeenAt: Date | null = null;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
