import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { transaction } from '../../transaction.ts';

/** What is counted: attempts of `who` within the window; from the `limit`-th on each one makes the next ones wait. */
export interface Throttle {
  /** Kept as a hash only. */
  who: string;
  limit: number;
}

const windowSeconds = 15 * 60;
const firstWaitMs = 5_000;
const longestWaitMs = 15 * 60_000;

const keyOf = ({ who }: Throttle): string => sha256Hex(who);

interface Counted {
  throttle_key: string;
  failures: number;
  is_over: boolean;
  wait_ms: number | null;
}

/**
 * Counts an attempt before it is made, so that a burst of parallel ones is counted too; `forgetAttempts` takes it back
 * when it was a good one, `startWait` lets a bad one have its price. Kept in the database: all gateways share it and a
 * restart forgets nothing.
 *
 * @returns 0 when the attempt may be made, else the milliseconds to wait; a refused attempt does not count
 */
export async function countAttempt(ctx: Ctx, throttles: Throttle[]): Promise<number> {
  const keys = throttles.map(keyOf).sort();
  return transaction(ctx, async (tx) => {
    // Nothing for an attempt that is refused: whoever is blocked must not fill the table with the names that they try.
    await rows(
      tx.em,
      sql`insert into login_throttle (throttle_key, failures, window_ends_at)
          select key, 0, now() from unnest(${keys}::text[]) key
          where not exists (select from login_throttle where throttle_key = any(${keys}::text[]) and blocked_until > now())
          on conflict do nothing`,
    );
    const counted = await rows<Counted>(
      tx.em,
      sql`select throttle_key, failures, window_ends_at < now() is_over,
            (extract(epoch from blocked_until - now()) * 1000)::float8 wait_ms
          from login_throttle where throttle_key = any(${keys}::text[]) order by throttle_key for update`,
    );
    const waitMs = Math.max(0, ...counted.map(({ wait_ms }) => wait_ms ?? 0));
    if (waitMs > 0) return waitMs;
    const attempts = counted.map(({ failures, is_over }) => (is_over ? 1 : failures + 1));
    await rows(
      tx.em,
      sql`update login_throttle t set failures = a.failures,
            window_ends_at = now() + make_interval(secs => ${windowSeconds}::float8)
          from unnest(${counted.map((row) => row.throttle_key)}::text[], ${attempts}::int[]) a(throttle_key, failures)
          where t.throttle_key = a.throttle_key`,
    );
    return 0;
  });
}

/**
 * The attempt was a bad one. From the limit on each makes the next ones wait, twice as long as the one before, 15 minutes
 * at most: never a lock for good.
 */
export async function startWait(ctx: Ctx, throttles: Throttle[]): Promise<void> {
  await rows(
    ctx.em,
    sql`update login_throttle t set blocked_until = now() + make_interval(secs =>
          least(${longestWaitMs}::float8, ${firstWaitMs}::float8 * power(2, least(t.failures - a.max, 20))) * ${ctx.core.settings.retryTimeScale}::float8 / 1000)
        from unnest(${throttles.map(keyOf)}::text[], ${throttles.map(({ limit }) => limit)}::int[]) a(throttle_key, max)
        where t.throttle_key = a.throttle_key and t.failures >= a.max`,
  );
}

/** Forgets all attempts of the first throttle and one of each other. */
export async function forgetAttempts(ctx: Ctx, [first, ...others]: Throttle[]): Promise<void> {
  if (!first) return;
  await rows(ctx.em, sql`delete from login_throttle where throttle_key = ${keyOf(first)}`);
  await rows(
    ctx.em,
    sql`update login_throttle set failures = greatest(0, failures - 1)
        where throttle_key = any(${others.map(keyOf)}::text[])`,
  );
}
