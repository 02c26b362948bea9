import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { ApiKeyKind, ApiKeyRole } from '../../context.ts';

/** A token of another program. The key itself is stored nowhere. */
@Entity({ tableName: 'api_key' })
export class ApiKey {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'text' })
  kind!: ApiKeyKind;

  @Property({ type: 'text' })
  role!: ApiKeyRole;

  /** SHA-256 of the key. */
  @Property({ type: 'text', hidden: true })
  hash!: string;

  /** The last characters of the key, to tell it from others. */
  @Property({ type: 'text' })
  last4!: string;

  /** What the user wants known wherever the key is used. */
  @Property({ type: 'json' })
  variables!: Record<string, unknown>;

  /** As `addressRange` writes them; empty: from anywhere. */
  @Property({ type: 'string[]', columnType: 'text[]' })
  allowedCidrs!: string[];

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  expiresAt!: Date | null;

  /** To the minute. */
  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  lastUsedAt!: Date | null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  revokedAt!: Date | null;

  /** Id of the user; null when no user made it. */
  @Property({ type: 'uuid', nullable: true })
  createdBy!: string | null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** A key has no REST side; the id. */
  get legacyId(): Opt<string> {
    return this.id;
  }
}
