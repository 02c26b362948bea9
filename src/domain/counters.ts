import { randomInt } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from './context.ts';
import { rows } from './statement.ts';
import type { Tx } from './transaction.ts';

/** Totals of everything; those of conversations with one thing in common are named after it. */
export type CounterName =
  | 'contacts'
  | 'conversations'
  | `conversations_${'channel' | 'source' | 'state' | 'tag'}:${string}`
  /** Those with an unread message. */
  | 'unread_conversations'
  | 'unread_messages';

/** Each total is the sum of this many rows, so that two writers seldom meet on one. */
const slots = 16;

/** Which of them this writer moves. */
function counterSlot(): number {
  return randomInt(slots);
}

/**
 * Moves totals in the transaction of the change. Take it late: the rows are locked until the commit. Always in the order
 * of the names, over the statements of a transaction too.
 */
export async function moveCounters(tx: Tx, by: Partial<Record<CounterName, number>>): Promise<void> {
  const moved = Object.entries(by).filter(([, delta]) => delta !== 0);
  if (moved.length === 0) return;
  await rows(
    tx.em,
    movedBy(
      sql`unnest(${moved.map(([name]) => name)}::text[], ${moved.map(([, delta]) => delta)}::bigint[]) m(name, delta)`,
    ),
  );
}

/** The same as part of a larger statement. @param moves rows of name and delta, which may be 0 */
export function movedBy(moves: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`insert into counter as k (name, slot, value)
        select name, ${counterSlot()}::smallint, delta from ${moves} where delta <> 0 order by name
        on conflict (name, slot) do update set value = k.value + excluded.value`;
}

/** A total as part of another statement. */
export function totalOf(name: CounterName): string {
  return `(select coalesce(sum(value), 0)::float8 from counter where name = '${name}')`;
}

/** Some totals, in one statement; 0 where nothing was ever counted. */
export async function readCounters<Name extends CounterName>(
  ctx: Ctx,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const found = await rows<{ name: Name; total: number }>(
    ctx.em,
    sql`select name, sum(value)::float8 total from counter where name = any(${[...names]}::text[]) group by name`,
  );
  const totals = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  for (const { name, total } of found) totals[name] = total;
  return totals;
}
