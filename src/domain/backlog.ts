import { sql } from 'kysely';
import { type Core, systemCtx } from './context.ts';
import type { EventPosition } from './events.ts';
import { rows } from './statement.ts';
import { transaction } from './transaction.ts';

/** What waits to be done, over all processes. */
export interface Backlog {
  /** Lanes that are due and that nobody works on; of each group 10,000 at most are counted. */
  jobsWaiting: number;
  oldestJobSeconds: number;
  /** Age of the oldest event behind the position that was asked for; 0 when there is none. */
  eventLagSeconds: number;
}

const mostOfGroup = 10_000;

/** One bounded look, 2 s at most: it walks the index of the lanes group by group, as the claims do. */
export async function readBacklog(core: Core, released: EventPosition | undefined): Promise<Backlog> {
  return transaction(systemCtx(core, 'backlog'), async (tx) => {
    await rows(tx.em, sql`select set_config('statement_timeout', '2000', true)`);
    const unreleased = released
      ? sql`select min(at) from (
          select at from event where (txid, id) > (${String(released.txid)}::xid8, ${String(released.id)}::bigint)
          order by event.txid, event.id limit 1) oldest`
      : sql`select null::timestamptz`;
    const [found] = await rows<{ waiting: number; oldest_s: number; lag_s: number }>(
      tx.em,
      sql`with recursive s(lane_group) as (
            (select lane_group from lane order by lane_group limit 1)
            union all
            select (select l.lane_group from lane l where l.lane_group > s.lane_group order by l.lane_group limit 1)
            from s where s.lane_group is not null),
          due as (
            select d.due_at from s cross join lateral (
              select due_at from lane where lane_group = s.lane_group and due_at <= now()
                and (leased_until is null or leased_until <= now())
              order by due_at limit ${sql.lit(mostOfGroup)}) d)
          select count(*)::float8 waiting, coalesce(extract(epoch from now() - min(due_at)), 0)::float8 oldest_s,
            greatest(0, coalesce(extract(epoch from now() - (${unreleased})), 0))::float8 lag_s
          from due`,
    );
    return { jobsWaiting: found!.waiting, oldestJobSeconds: found!.oldest_s, eventLagSeconds: found!.lag_s };
  });
}
