import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { isScanGivenUp, scan } from '../../scan.ts';
import { readRows } from '../../statement.ts';
import {
  type ConversationColumns,
  type ConversationRowsQuery,
  conversationsOfIds,
  orderAndLimit,
  pageByRecency,
  type RowsWindow,
  readConversationRows,
} from './conversation-rows.ts';
import { type Asked, countOf, countSql, matchesAll, widthOf } from './filter-plan.ts';
import { conditionOf, instantOf, needsContact, unreadBetween } from './filter-sql.ts';
import { type Filter, type Leaf, leavesOf } from './filter-tree.ts';

export interface PageQuery extends Pick<ConversationRowsQuery, 'fewColumns'> {
  window: RowsWindow;
}

export interface Matches {
  found: ConversationColumns[];
  /** How many match, where finding the page told it. */
  matches?: number;
}

/** What tells a small number of conversations from a large one. */
export interface Lengths {
  /** So many are read from an index and sorted for a page. Of a million conversations as many are walked for 20 that match. */
  narrowest: number;
  /** So far the list is walked for a page before all matches are looked for instead. */
  longestWalk: number;
  /** The same where the messages of each conversation are looked at. */
  longestRead: number;
}

const usual: Lengths = { narrowest: 4_000, longestWalk: 5_000, longestRead: 2_000 };

/**
 * A page of the conversations that match. Few matches are read from their own index and sorted; of many the list is
 * walked from the page's place until it is full. With the totals in each row.
 */
export async function findMatches(
  ctx: Ctx,
  asked: Asked,
  { window, fewColumns }: PageQuery,
  { narrowest, longestWalk, longestRead }: Lengths = usual,
): Promise<Matches> {
  const { filter, sources } = asked;
  const { backwards, limit } = window;
  const leaves = leavesOf(filter);
  const isLight = areLight(leaves);
  // The text of one question comes again and again; those of several are as many as there are users.
  const isOneOff = leaves.length > 1;
  const read: PageOf = (query) =>
    readConversationRows(ctx, { ...query, backwards, fewColumns, totals: true, isOneOff });
  if (matchesAll(filter)) {
    const found = await read({ from: pageByRecency(window) });
    return { found, matches: found[0]?.total_conversations };
  }
  const count = countOf(filter, sources);
  const matches = count && countSql(count);
  const span = spanOf(filter);
  if (span.isAll && span.isInOrder) {
    return withCount(await read({ from: pageByRecency(within(window, span.where)), matches }));
  }
  const width = await widthOf(ctx, asked, narrowest);
  if (width !== 'wide') {
    // One light question has its index; of several the one that has may find many, and each of those is asked the others.
    const isBounded = isLight && (width === 'narrow' || !isOneOff);
    const few = { asked, window, narrowest };
    const narrow = isBounded ? await narrowPage(read, few) : await scannedNarrowPage(ctx, read, few);
    if (narrow) return narrow;
  }
  const longest = leaves.some(({ kind }) => kind === 'text') ? longestRead : longestWalk;
  const walk = { ...within(window, span.where), limit: longest, offset: 0 };
  const walked = walkedPage(asked, window, walk);
  const found = await read({
    from: isLight ? pageOf(walked) : conversationsOfIds(await scannedIds(ctx, walked)),
    matches,
  });
  if (found.length === limit || !(await goesOn(ctx, walk))) return withCount(found);
  const sorted = await sortedPage(ctx, asked, window);
  return { found: await read({ from: conversationsOfIds(sorted.ids) }), matches: sorted.matches };
}

/** Questions that a row answers in no time, and not many: what takes longer has its turns, or it would take all connections. */
function areLight(leaves: readonly Leaf[]): boolean {
  return leaves.length <= mostLight && leaves.every(isLightQuestion);
}

const mostLight = 8;

function isLightQuestion({ kind, field }: Leaf): boolean {
  if (kind === 'near' || kind === 'text' || kind === 'matches') return false;
  return typeof field === 'string' || field.kind === 'display_name';
}

type PageOf = (
  query: Omit<ConversationRowsQuery, 'backwards' | 'fewColumns' | 'totals' | 'isOneOff'>,
) => Promise<ConversationColumns[]>;

function withCount(found: ConversationColumns[]): Matches {
  return { found, matches: found[0]?.matches };
}

function within(window: RowsWindow, condition: RawBuilder<unknown>): RowsWindow {
  return { ...window, where: sql`${window.where} and ${condition}` };
}

/** What a filter says of the columns that the list's order is kept with. */
interface Span {
  where: RawBuilder<unknown>;
  /** It says something. */
  isAny: boolean;
  /** It says nothing else. */
  isAll: boolean;
  /** What it leaves stands together in an index, in the order of the list. */
  isInOrder: boolean;
}

function spanOf(filter: Filter): Span {
  const parts = filter.kind === 'all' ? filter.of : [filter];
  const conditions: RawBuilder<unknown>[] = [];
  let isAll = true;
  let isInOrder = true;
  for (const part of parts) {
    if (part.kind === 'between' && part.field === 'last_message_at') {
      conditions.push(
        sql`last_message_at between ${instantOf(part.from)}::timestamptz and ${instantOf(part.to)}::timestamptz`,
      );
    } else if (part.kind === 'between' && part.field === 'unread_count' && part.from > 0) {
      const isMore = part.from > 1 || part.to < Number.POSITIVE_INFINITY;
      isInOrder &&= !isMore;
      conditions.push(sql`unread_count > 0`);
      // Left out where it says no more, so that the index alone is read.
      if (isMore) conditions.push(unreadBetween(sql`unread_count`, part.from, part.to));
    } else isAll = false;
  }
  const isAny = conditions.length > 0;
  return { where: isAny ? sql.join(conditions, sql` and `) : sql`true`, isAny, isAll, isInOrder };
}

/** The conversations that match, as `from` and `where` of a statement. */
function matchesFrom({ filter, sources }: Asked): RawBuilder<unknown> {
  const span = spanOf(filter);
  const contact = needsContact(leavesOf(filter)) ? sql`left join contact p on p.id = c.contact_id` : sql``;
  const conversations = span.isAny
    ? sql`(select conversation_id from conversation_recency where ${span.where}) r join conversation c on c.id = r.conversation_id`
    : sql`conversation c`;
  return sql`${conversations} ${contact} where ${conditionOf(filter, { sources })}`;
}

interface Few {
  asked: Asked;
  window: RowsWindow;
  narrowest: number;
}

// All of them, if they are not too many: then the number is known too.
async function narrowPage(read: PageOf, { asked, window, narrowest }: Few): Promise<Matches | undefined> {
  const found = await read({
    from: sql`(
      with hit as materialized (
        select c.last_message_at, c.id conversation_id from ${matchesFrom(asked)} limit ${sql.lit(narrowest + 1)})
      select t.matches, k.conversation_id from (select count(*)::int matches from hit) t
      left join lateral (
        select conversation_id from hit where t.matches <= ${sql.lit(narrowest)} and ${window.where}
        ${orderAndLimit(window)}) k on true) r
      left join conversation c on c.id = r.conversation_id`,
    isOuter: true,
    matches: sql`r.matches`,
  });
  const matches = found[0]!.matches!;
  if (matches > narrowest) return undefined;
  return { found: found.filter((row) => row.c_id !== null), matches };
}

// The same as a scan.
async function scannedNarrowPage(
  ctx: Ctx,
  read: PageOf,
  { asked, window, narrowest }: Few,
): Promise<Matches | undefined> {
  const { ids, matches } = await sortedPage(ctx, asked, window, narrowest + 1);
  if (matches > narrowest) return undefined;
  return { found: await read({ from: conversationsOfIds(ids) }), matches };
}

// Row by row in the order of the list, and no further than the page is long: a condition that is a query of its own is
// asked of one row after the other, where a join could be done for all rows first.
function walkedPage({ filter, sources }: Asked, window: RowsWindow, walk: RowsWindow): RawBuilder<unknown> {
  const leaves = leavesOf(filter);
  const condition = conditionOf(filter, { sources, isWalk: true });
  const areOnlyTags = leaves.every(({ field }) => field === 'tag_ids');
  const isMatch = areOnlyTags
    ? sql`(select ${condition} from (select w.conversation_id id) c)`
    : sql`(select ${condition} from conversation c
        ${needsContact(leaves) ? sql`left join contact p on p.id = c.contact_id` : sql``} where c.id = w.conversation_id)`;
  return sql`select conversation_id from (
      select last_message_at, conversation_id from conversation_recency where ${walk.where} ${orderAndLimit(walk)}) w
    where ${isMatch} ${orderAndLimit(window)}`;
}

function pageOf(ids: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(${ids}) r join conversation c on c.id = r.conversation_id`;
}

async function scannedIds(ctx: Ctx, ids: RawBuilder<unknown>): Promise<string[]> {
  const found = await scan(ctx, sql<{ id: string }>`select conversation_id::text id from (${ids}) w`);
  return found.map(({ id }) => id);
}

/** Whether the list is longer than a walk that did not fill its page. */
async function goesOn(ctx: Ctx, walk: RowsWindow): Promise<boolean> {
  const behind = { ...walk, limit: 1, offset: walk.limit };
  const found = await readRows(
    ctx,
    sql`select 1 from conversation_recency where ${behind.where} ${orderAndLimit(behind)}`,
  );
  return found.length > 0;
}

// All matches are found and counted, and those of the page kept. `most`: no more than that are looked for.
async function sortedPage(
  ctx: Ctx,
  asked: Asked,
  window: RowsWindow,
  most?: number,
): Promise<{ ids: string[]; matches: number }> {
  const [found] = await scan(
    ctx,
    sql<{ ids: string[]; matches: number }>`with hit as materialized (
        select c.last_message_at, c.id conversation_id from ${matchesFrom(asked)} ${most ? sql`limit ${sql.lit(most)}` : sql``})
      select (select count(*)::float8 from hit) matches,
        array(select conversation_id::text from hit where ${window.where} ${orderAndLimit(window)}) ids`,
  );
  return found!;
}

/** How many match: by the totals that are kept, else one by one. null when that takes longer than a scan may. */
export async function countMatches(ctx: Ctx, asked: Asked): Promise<number | null> {
  const count = countOf(asked.filter, asked.sources);
  if (count) {
    const [found] = await readRows<{ count: number }>(ctx, sql`select ${countSql(count)} count`);
    return found!.count;
  }
  const span = spanOf(asked.filter);
  const all = span.isAll ? sql`conversation_recency where ${span.where}` : matchesFrom(asked);
  try {
    const [found] = await scan(ctx, sql<{ count: number }>`select count(*)::float8 count from ${all}`);
    return found!.count;
  } catch (error) {
    if (isScanGivenUp(error)) return null;
    throw error;
  }
}
