import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import type { CounterName } from '../../counters.ts';
import { isUuid } from '../../ids.ts';
import { isScanGivenUp, scan } from '../../scan.ts';
import { cachedFor } from '../../short-cache.ts';
import { readOnce } from '../../statement.ts';
import type { SourceName } from '../sources/source.service.ts';
import { mayBeDefaultName } from './filter-default-name.ts';
import { hasText, unplanned } from './filter-sql.ts';
import type { Filter, Leaf } from './filter-tree.ts';
import { blankedText } from './filter-words.ts';

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
  // Each conversation has its times and its count.
  if (filter.kind === 'between' && filter.from === Number.NEGATIVE_INFINITY && filter.to === Number.POSITIVE_INFINITY) {
    return { kind: 'all', of: [] };
  }
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
      return filter.of.length === 0 ? allOfThem : undefined;
    case 'any':
      return eitherCount(filter.of, sources);
    case 'not': {
      const count = countOf(filter.of, sources);
      return count && sum([allOfThem, negative(count)]);
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
      return once(!isUuid(value) ? [] : [`conversations_channel:${value}`]);
    case 'tag_ids':
      return once(!isUuid(value) ? [] : [`conversations_tag:${value}`]);
    case 'source':
      return once(
        sources.flatMap((one) => (one.sourceId === value ? [`conversations_source:${one.id}` as const] : [])),
      );
    case 'state':
      // What is neither is open.
      if (value !== 'OPEN') return once([`conversations_state:${value}`]);
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
  if (isOpen && from <= 0) return allOfThem;
  if (isOpen && from === 1) return new Map([['unread_conversations', 1]]);
  if (to === 0) return sum([allOfThem, new Map([['unread_conversations', -1]])]);
  return undefined;
}

function once(names: readonly CounterName[]): Count {
  return new Map(names.map((name) => [name, 1]));
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
    from counter k where k.name = any(${unplanned(names, 'text[]')}::text[]))`;
}

const counted = cachedFor<number>(1_000);

const allOfThem: Count = new Map([['conversations', 1]]);

/** A second old at most: for a choice, not for an answer. One statement for all that are not known. */
function roughly(ctx: Ctx, counts: readonly Count[]): Promise<number[]> {
  const byKey = new Map(counts.map((count) => [JSON.stringify([...count]), count]));
  return counted.getAll(ctx.core, [...byKey.keys()], async (missing) => {
    const each = missing.map((key) => countSql(byKey.get(key)!));
    const [found] = await readOnce<{ counts: number[] }>(ctx, sql`select array[${sql.join(each)}]::float8[] counts`);
    return found!.counts;
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
  const parts = filter.kind === 'all' ? filter.of : [filter];
  if (parts.some((part) => part.kind === 'is' && part.field === 'id')) return 'narrow';
  const counts = parts.flatMap((part) => (isIndexed(part) ? (countOf(part, sources) ?? []) : []));
  if (counts.length > 0) {
    const [all, ...sizes] = await roughly(ctx, [allOfThem, ...counts]);
    // As many are walked on the way to a page as are read from the index where the one is the square root of the other.
    const few = Math.min(narrowest, Math.sqrt(20 * all!));
    if (sizes.some((size) => size <= few)) return 'narrow';
  }
  for (const part of parts) {
    if (part.kind === 'text' ? await isFewMessages(ctx, part) : hasOwnIndex(part, sources)) return 'unknown';
  }
  return 'wide';
}

/** Whether the index of a thing that is counted finds it: that of states has those only that are not open. */
function isIndexed(part: Filter): boolean {
  if (part.kind === 'any') return part.of.every(isIndexed);
  return part.kind === 'is' && !(part.field === 'state' && part.value === 'OPEN');
}

/** Whether an index finds what a part asks for, however many that are. */
function hasOwnIndex(part: Filter, sources: readonly SourceName[]): boolean {
  switch (part.kind) {
    case 'is':
      return part.field === 'assignee_id';
    case 'words':
      return part.field.kind === 'metadata' || !mayBeDefault(part, sources);
    case 'like': {
      // Trigrams: two characters say nothing.
      const isLongEnough = part.pattern.some(
        (one) => typeof one !== 'string' && blankedText(one.text).trim().length >= 3,
      );
      return part.field.kind === 'display_name' && isLongEnough && !mayBeDefault(part, sources);
    }
    case 'between':
      return part.field === 'created_at';
    default:
      return false;
  }
}

/** So many messages with some words are looked at to find their conversations. */
const manyMessages = 20_000;
const fewMessages = cachedFor<boolean>(1_000);

function isFewMessages(ctx: Ctx, leaf: Extract<Leaf, { kind: 'text' }>): Promise<boolean> {
  return fewMessages.get(ctx.core, leaf.text, async () => {
    try {
      const [found] = await scan(
        ctx,
        sql<{ count: number }>`select count(*)::int count from (
          select from message where ${hasText(leaf)} limit ${sql.lit(manyMessages)}) m`,
      );
      return found!.count < manyMessages;
    } catch (error) {
      if (isScanGivenUp(error)) return false;
      throw error;
    }
  });
}

function mayBeDefault(leaf: Extract<Leaf, { kind: 'words' | 'like' }>, sources: readonly SourceName[]): boolean {
  return sources.some(({ sourceId }) => mayBeDefaultName(leaf, sourceId));
}
