import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

/** A bridge to one messaging platform. A deleted one stays, without rights, for the conversations it made. */
@Entity({ tableName: 'source' })
export class Source {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  /** The name chosen by its maker. Never changes. */
  @Property({ type: 'text' })
  sourceId!: string;

  @Property({ type: 'text', nullable: true })
  name: string | null = null;

  @Property({ type: 'text', nullable: true })
  imageUrl: string | null = null;

  @Property({ type: 'text', nullable: true })
  actionEndpoint: string | null = null;

  /** `jti` of the one token that is valid. */
  @Property({ type: 'uuid' })
  tokenId!: string;

  @Property({ type: 'text', hidden: true })
  tokenEncrypted!: string;

  @Property({ type: 'text', hidden: true })
  signingSecretEncrypted!: string;

  @Property({ type: 'text', nullable: true, hidden: true })
  previousSigningSecretEncrypted: string | null = null;

  /** Until then the earlier secret signs beside the present one. */
  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  previousSigningSecretUntil: Date | null = null;

  /** False when the last delivery used up its retries, true again after the next success. */
  @Property({ type: 'boolean' })
  reachable = true;

  @Property({ type: 'text', nullable: true })
  lastError: string | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)', nullable: true })
  deletedAt: Date | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  /** The id that REST shows. */
  get legacyId(): Opt<string> {
    return this.sourceId;
  }
}
