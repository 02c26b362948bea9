import { ArgsType, Field, Int, ObjectType } from 'type-graphql';
import type { Page } from '../domain/paging.ts';
import { plainFields } from './plain-fields.ts';
import { CursorScalar } from './scalars.ts';

@ObjectType('PageInfo', { simpleResolvers: true, description: 'Where a page stands in its list.' })
export class PageInfo {
  @Field(() => Boolean, { description: 'There are more after the last one.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'There are more before the first one.' })
  hasPreviousPage!: boolean;

  @Field(() => CursorScalar, { nullable: true, description: 'Cursor of the first one.' })
  startCursor!: string | null;

  @Field(() => CursorScalar, { nullable: true, description: 'Cursor of the last one.' })
  endCursor!: string | null;
}

@ArgsType()
export class PageArgs {
  @Field(() => Int, {
    nullable: true,
    description: 'Page size from the start or from `after`: 20 by default, 100 at most.',
  })
  first?: number;

  @Field(() => CursorScalar, {
    nullable: true,
    description: 'The page after this cursor. A bare id begins the page with it, a number leaves out that many.',
  })
  after?: string;

  @Field(() => Int, { nullable: true, description: 'Page size from the end or from `before`.' })
  last?: number;

  @Field(() => CursorScalar, { nullable: true, description: 'The page before this cursor.' })
  before?: string;
}

/** The fields that every connection has. Cursors are made when they are selected. */
class Connection<Item> {
  readonly nodes: Item[];
  readonly #page: Page<Item>;
  readonly #cursorOf: (item: Item) => string;

  constructor(page: Page<Item>, cursorOf: (item: Item) => string) {
    this.nodes = page.items;
    this.#page = page;
    this.#cursorOf = cursorOf;
  }

  get edges(): { cursor: string; node: Item }[] {
    return this.nodes.map((node) => ({ cursor: this.#cursorOf(node), node }));
  }

  get pageInfo(): PageInfo {
    const { hasNextPage, hasPreviousPage } = this.#page;
    const first = this.nodes[0];
    const last = this.nodes.at(-1);
    return {
      hasNextPage,
      hasPreviousPage,
      startCursor: first ? this.#cursorOf(first) : null,
      endCursor: last ? this.#cursorOf(last) : null,
    };
  }
}

/** @param more the fields that this connection has beside */
export function toConnection<Item, More extends object>(
  page: Page<Item>,
  cursorOf: (item: Item) => string,
  more: More,
): Connection<Item> & More {
  return Object.assign(new Connection(page, cursorOf), more);
}

/** Totals of a connection that are counted only when they are selected: functions of its root. */
export function countedFields(type: string, ...names: string[]): void {
  const call = (name: string) => (root: Record<string, () => number | Promise<number>>) => root[name]?.();
  plainFields(type, Object.fromEntries(names.map((name) => [name, call(name)])));
}
