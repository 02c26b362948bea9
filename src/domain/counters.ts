import { randomInt } from 'node:crypto';
import { sql } from 'kysely';
import type { Ctx } from './context.ts';
import { rows } from './statement.ts';
import type { Tx } from './transaction.ts';

export type CounterName = 'contacts' | 'conversations' | 'unread_messages';

/** Each total is the sum of this many rows, so that two writers seldom meet on one. */
const slots = 16;

/** Which of them this writer moves. */
export function counterSlot(): number {
  return randomInt(slots);
}

/** Moves totals in the transaction of the change. Take it late: the row is locked until the commit. */
export async function moveCounters(tx: Tx, by: Partial<Record<CounterName, number>>): Promise<void> {
  const moved = Object.entries(by).filter(([, delta]) => delta !== 0);
  if (moved.length === 0) return;
  moved.sort(([a], [b]) => (a < b ? -1 : 1));
  await rows(
    tx.em,
    sql`insert into counter as k (name, slot, value)
        select name, ${counterSlot()}::smallint, delta
        from unnest(${moved.map(([name]) => name)}::text[], ${moved.map(([, delta]) => delta)}::bigint[]) m(name, delta)
        on conflict (name, slot) do update set value = k.value + excluded.value`,
  );
}

/** A total as part of another statement. */
export function totalOf(name: CounterName): string {
  return `(select coalesce(sum(value), 0)::float8 from counter where name = '${name}')`;
}

/** All totals, in one statement. */
export async function readCounters(ctx: Ctx): Promise<Record<CounterName, number>> {
  const found = await rows<{ name: CounterName; total: number }>(
    ctx.em,
    sql`select name, sum(value)::float8 total from counter group by name`,
  );
  const totals: Record<CounterName, number> = { contacts: 0, conversations: 0, unread_messages: 0 };
  for (const { name, total } of found) totals[name] = total;
  return totals;
}
