import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { FlowDefinition } from './steps.service.ts';

/** What happens over days, as data: a draft, and the version that new journeys take. */
@Entity({ tableName: 'flow' })
export class Flow {
  @PrimaryKey({ type: 'uuid' })
  id!: string;

  @Property({ type: 'text' })
  name!: string;

  /** The definition that is being worked on; always one that could be published. */
  @Property({ type: 'json' })
  draft!: FlowDefinition;

  /** Number of the version that new journeys take; null: none is published. */
  @Property({ type: 'integer', nullable: true })
  publishedNumber: number | null = null;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  createdAt!: Date;

  @Property({ type: 'Date', columnType: 'timestamptz(3)' })
  updatedAt!: Date;

  get legacyId(): Opt<string> {
    return this.id;
  }
}

/** A published definition; it never changes. */
export interface FlowVersion {
  flowId: string;
  /** From 1, by one. */
  number: number;
  definition: FlowDefinition;
  publishedById: string | null;
  publishedAt: Date;
}
