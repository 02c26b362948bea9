import { sql } from 'kysely';
import { trimEvents } from './events.ts';
import { fixedGroup, type LaneKind, type Wake } from './jobs.ts';
import { rows } from './statement.ts';
import { type Tx, transaction } from './transaction.ts';

/** Removes one batch of what is too old and returns how many rows went. */
export type Cleaner = (tx: Tx) => Promise<number>;

const batch = 10_000;
const pauseMs = 60_000;
const cleaners: Cleaner[] = [(tx) => trimEvents(tx, tx.core.settings.eventRetentionMs, batch)];

/** Subjects register the cleaning of their own tables; main.ts calls it once for each. */
export function registerCleaner(cleaner: Cleaner): void {
  cleaners.push(cleaner);
}

/** A cleaner that deletes rows of `table` whose `column` is older than `days`, by the database's clock. */
export function olderThanDays(table: string, column: string, days: number): Cleaner {
  return async (tx) => {
    const [row] = await rows<{ count: number }>(
      tx.em,
      sql`with gone as (
            delete from ${sql.table(table)} where ctid = any (array(
              select ctid from ${sql.table(table)}
              where ${sql.ref(column)} < now() - make_interval(days => ${sql.lit(days)}) limit ${sql.lit(batch)}))
            returning 1)
          select count(*)::int count from gone`,
    );
    return row?.count ?? 0;
  };
}

/** The lane of the retention: comes back each minute, at once while a batch was full. */
export const retentionLane: Wake = { kind: 'retention', id: '00000000-0000-0000-0000-000000000001', group: fixedGroup };

export const retentionKind: LaneKind = {
  async work(ctx, lease) {
    let isFull = false;
    for (const cleaner of cleaners) {
      const removed = await transaction(ctx, async (tx) => {
        const count = await cleaner(tx);
        await lease.check(tx);
        return count;
      });
      isFull ||= removed >= batch;
    }
    return isFull ? { next: 'release' } : { next: 'timer', inMs: pauseMs };
  },
};
