import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** SECRET (`sk_`): back ends; PUBLIC (`pk_`): apps; ENDPOINT (`ak_`): callers of endpoints that users define. */
export type ApiKeyKind = 'SECRET' | 'PUBLIC' | 'ENDPOINT';

/** What a key may do where it opens something at all; each may do what those before it may. */
export type ApiKeyRole = 'SUPPORT' | 'EDITOR' | 'ADMIN';

/** What a program calls with. The key itself is kept nowhere, only its hash. */
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

  @Property({ type: 'text' })
  last4!: string;

  /** What its holder is to those who look at it: `metadata.token.variables`. */
  @Property({ type: 'json' })
  variables: Record<string, unknown> = {};

  /** Addresses and ranges from which it may be used; none: from anywhere. */
  @Property({ type: 'string[]', columnType: 'text[]' })
  addresses: string[] = [];

  @Property({ type: 'uuid', nullable: true })
  createdBy: string | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  expiresAt: Date | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  revokedAt: Date | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  lastUsedAt: Date | null = null;

  get legacyId(): Opt<string> {
    return this.id;
  }
}

/** A named set of keys. */
@Entity({ tableName: 'api_key_group' })
export class ApiKeyGroup {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  name!: string;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  get legacyId(): Opt<string> {
    return this.id;
  }
}
