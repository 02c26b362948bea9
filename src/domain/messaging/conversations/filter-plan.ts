import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import type { CounterName } from '../../counters.ts';
import { cachedFor } from '../../short-cache.ts';
import { readOnce, readRows } from '../../statement.ts';
import type { SourceName } from '../sources/source.service.ts';
import { mayBeDefaultName } from './filter-default-name.ts';
import { hasText } from './filter-sql.ts';
import type { Filter, Leaf } from './filter-tree.ts';

/** A simplified filter with the names that it is compared with. */
export interface Asked {
  filter: Filter;
  sources: readonly SourceName[];
}

/** How many conversations a filter matches, as totals that are kept anyway: each so many times. */
export type Count = Map<CounterName, number>;

/** The same filter without groups inside groups of their kind, and without what says nothing. */
export function simplified(filter: Filter): Filter {
  if (filter.kind === 'not') return { kind: 'not', of: simplified(filter.of) };
  if (filter.kind !== 'all' && filter.kind !== 'any') return filter;
  const { kind } = filter;
  const parts = filter.of.map(simplified).flatMap((part) => (part.kind === kind ? part.of : [part]));
  return parts.length === 1 ? parts[0]! : { kind, of: parts };
}

/** True where every conversation matches. */
export function matchesAll(filter: Filter): boolean {
  return filter.kind === 'all' && filter.of.length === 0;
}

/** What a filter's matches are counted by; undefined where they must be counted one by one. Takes a simplified filter. */
export function countOf(filter: Filter, sources: readonly SourceName[]): Count | undefined {
  switch (filter.kind) {
    case 'all':
      return filter.of.length === 0 ? everything : undefined;
    case 'any':
      return eitherCount(filter.of, sources);
    case 'not': {
      const count = countOf(filter.of, sources);
      return count && sum([everything, negative(count)]);
    }
    case 'is':
      return isCount(filter, sources);
    case 'between':
      return filter.field === 'unread_count' ? unreadCount(filter.from, filter.to) : undefined;
    default:
      return undefined;
  }
}

// A conversation has one channel, source and state: of different ones it cannot be counted twice.
const single = new Set(['channel_id', 'source', 'state']);

function eitherCount(parts: readonly Filter[], sources: readonly SourceName[]): Count | undefined {
  const [first] = parts;
  if (!first) return new Map();
  const values = new Set<string>();
  for (const part of parts) {
    if (first.kind !== 'is' || part.kind !== 'is' || part.field !== first.field || !single.has(part.field))
      return undefined;
    values.add(part.value);
  }
  const { field } = first as Extract<Leaf, { kind: 'is' }>;
  const counts = [...values].map((value) => isCount({ kind: 'is', field, value }, sources));
  return counts.every((count) => count !== undefined) ? sum(counts) : undefined;
}

function isCount({ field, value }: Extract<Leaf, { kind: 'is' }>, sources: readonly SourceName[]): Count | undefined {
  switch (field) {
    case 'channel_id':
      return times(1, [`conversations_channel:${value}`]);
    case 'tag_ids':
      return times(1, [`conversations_tag:${value}`]);
    case 'source':
      return times(
        1,
        sources.flatMap((one) => (one.sourceId === value ? [`conversations_source:${one.id}` as const] : [])),
      );
    case 'state':
      // What is neither is open.
      if (value !== 'OPEN') return times(1, [`conversations_state:${value}`]);
      return new Map([
        ['conversations', 1],
        ['conversations_state:CLOSED', -1],
        ['conversations_state:SNOOZED', -1],
      ]);
    default:
      return undefined;
  }
}

function unreadCount(from: number, to: number): Count | undefined {
  if (from > to || to < 0) return new Map();
  const isOpen = to === Number.POSITIVE_INFINITY;
  if (isOpen && from <= 0) return everything;
  if (isOpen && from === 1) return new Map([['unread_conversations', 1]]);
  if (to === 0) return sum([everything, new Map([['unread_conversations', -1]])]);
  return undefined;
}

function times(number: number, names: readonly CounterName[]): Count {
  return new Map(names.map((name) => [name, number]));
}

function sum(counts: readonly Count[]): Count {
  const total: Count = new Map();
  for (const count of counts) {
    for (const [name, times] of count) total.set(name, (total.get(name) ?? 0) + times);
  }
  return total;
}

function negative(count: Count): Count {
  return new Map([...count].map(([name, times]) => [name, -times]));
}

/** The number as part of a statement. */
export function countSql(count: Count): RawBuilder<number> {
  const names = [...count.keys()];
  const times = [...count.values()];
  return sql<number>`(select coalesce(sum(k.value * (${times}::int[])[array_position(${names}::text[], k.name)]), 0)::float8
    from counter k where k.name = any(${names}::text[]))`;
}

const counted = cachedFor<number>(1_000);

export const everything: Count = new Map([['conversations', 1]]);

/** A second old at most: for a choice, not for an answer. */
export function roughly(ctx: Ctx, count: Count): Promise<number> {
  return counted.get(ctx.core, JSON.stringify([...count]), async () => {
    const [found] = await readRows<{ count: number }>(ctx, sql`select ${countSql(count)} count`);
    return found!.count;
  });
}

/** What a filter leaves at most for one of its parts, as far as that is known. */
export type Width =
  /** An index finds them, and they are few enough to be looked at one by one. */
  | 'narrow'
  /** An index finds them; how many there are is not known before. */
  | 'unknown'
  /** The list is walked until the page is full. */
  | 'wide';

/** How the page of a filter is best found: by the narrowest of the things that all must hold. */
export async function widthOf(ctx: Ctx, { filter, sources }: Asked, narrowest: number): Promise<Width> {
  const total = await roughly(ctx, everything);
  // As many are walked on the way to a page as are read from the index where the one is the square root of the other.
  const few = Math.min(narrowest, Math.sqrt(20 * total));
  const parts = filter.kind === 'all' ? filter.of : [filter];
  const widths = await Promise.all(parts.map((part) => partWidth(ctx, part, { sources, few })));
  if (widths.includes('narrow')) return 'narrow';
  return widths.includes('unknown') ? 'unknown' : 'wide';
}

/** So many messages with some words are looked at to find their conversations. */
const manyMessages = 20_000;

interface Measure {
  sources: readonly SourceName[];
  few: number;
}

async function partWidth(ctx: Ctx, part: Filter, { sources, few }: Measure): Promise<Width> {
  if (part.kind === 'is' && part.field === 'id') return 'narrow';
  if (part.kind === 'is' && part.field === 'assignee_id') return 'unknown';
  // The index is of those only that are not open.
  const isIndexed = (part.kind === 'is' && !(part.field === 'state' && part.value === 'OPEN')) || part.kind === 'any';
  const count = isIndexed ? countOf(part, sources) : undefined;
  if (count) return (await roughly(ctx, count)) <= few ? 'narrow' : 'wide';
  switch (part.kind) {
    case 'words':
      return part.field.kind === 'metadata' || !mayBeDefault(part, sources) ? 'unknown' : 'wide';
    case 'like': {
      // Trigrams: two characters say nothing.
      const isLongEnough = part.pattern.some((one) => typeof one !== 'string' && [...one.text].length >= 3);
      return part.field.kind === 'display_name' && isLongEnough && !mayBeDefault(part, sources) ? 'unknown' : 'wide';
    }
    case 'between':
      return part.field === 'created_at' ? 'unknown' : 'wide';
    case 'text': {
      const found = await readOnce<{ count: number }>(
        ctx,
        sql`select count(*)::int count from (select from message where ${hasText(part)} limit ${sql.lit(manyMessages)}) m`,
      );
      return found[0]!.count < manyMessages ? 'unknown' : 'wide';
    }
    default:
      return 'wide';
  }
}

function mayBeDefault(leaf: Extract<Leaf, { kind: 'words' | 'like' }>, sources: readonly SourceName[]): boolean {
  return sources.some(({ sourceId }) => mayBeDefaultName(leaf, sourceId));
}
