import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { Unavailable } from '../../errors.ts';
import { scan } from '../../scan.ts';
import { readRows } from '../../statement.ts';
import { sqlState } from '../../transaction.ts';
import {
  type ConversationColumns,
  type ConversationRowsQuery,
  conversationsOfIds,
  orderAndLimit,
  pageByRecency,
  type RowsWindow,
  readConversationRows,
} from './conversation-rows.ts';
import { type Asked, countOf, countSql, everything, matchesAll, roughly, widthOf } from './filter-plan.ts';
import { conditionOf, instantOf, needsContact, unreadBetween } from './filter-sql.ts';
import { type Filter, leavesOf } from './filter-tree.ts';

export interface PageQuery extends Pick<ConversationRowsQuery, 'fewColumns'> {
  window: RowsWindow;
}

export interface Matches {
  found: ConversationColumns[];
  /** How many match, where finding the page told it. */
  matches?: number;
}

type PageOf = (
  query: Omit<ConversationRowsQuery, 'backwards' | 'fewColumns' | 'totals' | 'isOneOff'>,
) => Promise<ConversationColumns[]>;

/** What tells a small number of conversations from a large one. */
export interface Lengths {
  /** So many are read from an index and sorted for a page. Of a million conversations as many are walked for 20 that match. */
  narrowest: number;
  /** So far the list is walked for a page before all matches are looked for instead. */
  longestWalk: number;
  /** The same where the messages of each conversation are looked at. */
  longestRead: number;
}

const usual: Lengths = { narrowest: 4_000, longestWalk: 20_000, longestRead: 2_000 };

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
  // The text of one question comes again and again; those of several are as many as there are users.
  const isOneOff = leavesOf(filter).length > 1;
  const read: PageOf = (query) =>
    readConversationRows(ctx, { ...query, backwards, fewColumns, totals: true, isOneOff });
  const count = countOf(filter, sources);
  if (matchesAll(filter)) {
    const found = await read({ from: pageByRecency(window) });
    return { found, matches: found[0]?.total_conversations };
  }
  const width = await widthOf(ctx, asked, narrowest);
  if (width !== 'wide') {
    const narrow = await narrowPage(read, asked, { window, narrowest });
    if (narrow) return narrow;
  }
  const matches = count && countSql(count);
  const isUnread = unreadOf(filter);
  if (isUnread) {
    const where = sql`${window.where} and ${isUnread}`;
    return withCount(await read({ from: pageByRecency({ ...window, where }), matches }));
  }
  const longest = leavesOf(filter).some(({ kind }) => kind === 'text') ? longestRead : longestWalk;
  const found = await read({ from: walkedPage(asked, { window, longest }), matches });
  const isAllWalked = async () => (await roughly(ctx, everything)) < longest;
  if (found.length === limit || (await isAllWalked())) return withCount(found);
  const sorted = await sortedPage(ctx, asked, window);
  return { found: await read({ from: conversationsOfIds(sorted.ids) }), matches: sorted.matches };
}

// All matches are found and counted, and those of the page kept.
async function sortedPage(ctx: Ctx, asked: Asked, window: RowsWindow): Promise<{ ids: string[]; matches: number }> {
  const [found] = await scan(
    ctx,
    sql<{ ids: string[]; matches: number }>`with hit as materialized (
        select c.last_message_at, c.id conversation_id from ${placesOf(asked)})
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
  const isUnread = unreadOf(asked.filter);
  const places = isUnread ? sql`conversation_recency where ${isUnread}` : placesOf(asked);
  try {
    const [found] = await scan(ctx, sql<{ count: number }>`select count(*)::float8 count from ${places}`);
    return found!.count;
  } catch (error) {
    if (sqlState(error) === queryCanceled || error instanceof Unavailable) return null;
    throw error;
  }
}

const queryCanceled = '57014';

/** Those stand in an index of their own, in the order of the list: it alone is read where no more is asked. */
function unreadOf(filter: Filter): RawBuilder<unknown> | undefined {
  if (filter.kind !== 'between' || filter.field !== 'unread_count' || filter.from < 1) return undefined;
  const from = filter.from > 1 ? filter.from : Number.NEGATIVE_INFINITY;
  return sql`unread_count > 0 and ${unreadBetween(sql`unread_count`, from, filter.to)}`;
}

function withCount(found: ConversationColumns[]): Matches {
  return { found, matches: found[0]?.matches };
}

function placesOf({ filter, sources }: Asked): RawBuilder<unknown> {
  return sql`conversation c ${needsContact(leavesOf(filter)) ? sql`left join contact p on p.id = c.contact_id` : sql``}
    where ${conditionOf(filter, { sources })}`;
}

// All of them, if they are not too many: then the number is known too.
async function narrowPage(
  read: PageOf,
  asked: Asked,
  { window, narrowest }: { window: RowsWindow; narrowest: number },
): Promise<Matches | undefined> {
  const found = await read({
    from: sql`(
      with hit as materialized (
        select c.last_message_at, c.id conversation_id from ${placesOf(asked)} limit ${sql.lit(narrowest + 1)})
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

// Row by row in the order of the list, and no further than the page is long. A subquery that is no join is asked for each.
function walkedPage(asked: Asked, { window, longest }: { window: RowsWindow; longest: number }): RawBuilder<unknown> {
  const { filter, sources } = asked;
  const leaves = leavesOf(filter);
  const asking = conditionOf(filter, { sources, isWalk: true });
  const isOfTags = leaves.every(({ field }) => field === 'tag_ids');
  const condition = isOfTags
    ? sql`(select ${asking} from (select w.conversation_id id) c)`
    : sql`(select ${asking} from conversation c
        ${needsContact(leaves) ? sql`left join contact p on p.id = c.contact_id` : sql``} where c.id = w.conversation_id)`;
  const walk = { ...window, where: sql`${window.where} ${lastMessageBounds(filter)}`, limit: longest, offset: 0 };
  return sql`(
    select conversation_id from (
      select last_message_at, conversation_id from conversation_recency where ${walk.where} ${orderAndLimit(walk)}) w
    where ${condition} ${orderAndLimit(window)}) r
    join conversation c on c.id = r.conversation_id`;
}

/** Where the list is asked for a time of its own order, the walk begins there. */
function lastMessageBounds(filter: Filter): RawBuilder<unknown> {
  const parts = filter.kind === 'all' ? filter.of : [filter];
  const bounds = parts.flatMap((part) =>
    part.kind === 'between' && part.field === 'last_message_at'
      ? [
          sql`and last_message_at >= ${instantOf(part.from)}::timestamptz
            and last_message_at <= ${instantOf(part.to)}::timestamptz`,
        ]
      : [],
  );
  return sql.join(bounds, sql` `);
}
