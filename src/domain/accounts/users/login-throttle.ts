import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { RateLimited } from '../../errors.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';

const windowSeconds = 15 * 60;
const longestWaitSeconds = 15 * 60;
const perAccount = 10;
const perAddress = 100;

interface Throttle {
  key: string;
  limit: number;
}

// Kept in the database: all gateways share it and a restart forgets nothing. Addresses and e-mails only as hashes.
function throttlesOf(ctx: Ctx, emailKey: string): Throttle[] {
  return [
    { key: sha256Hex(`account ${emailKey}`), limit: perAccount },
    { key: sha256Hex(`address ${ctx.address}`), limit: perAddress },
  ];
}

/** @throws RateLimited while the account or the caller's address has to wait */
export async function checkLoginThrottle(ctx: Ctx, emailKey: string): Promise<void> {
  const keys = throttlesOf(ctx, emailKey).map(({ key }) => key);
  const [row] = await rows<{ wait_ms: number | null }>(
    ctx.em,
    sql`select (extract(epoch from max(blocked_until) - now()) * 1000)::float8 wait_ms
        from login_throttle where throttle_key = any(${keys}::text[])`,
  );
  const waitMs = row?.wait_ms ?? 0;
  if (waitMs > 0) throw new RateLimited('too many failed sign-ins, wait before the next try', waitMs);
}

/**
 * Counts a failure. From the tenth of an account (hundredth of an address) within 15 minutes on, each further one
 * waits twice as long as the one before, 15 minutes at most: never a lock for good.
 */
export async function countFailedLogin(ctx: Ctx, emailKey: string): Promise<void> {
  const scale = ctx.core.settings.retryTimeScale;
  for (const { key, limit } of throttlesOf(ctx, emailKey)) {
    await rows(
      ctx.em,
      sql`insert into login_throttle as t (throttle_key, failures, window_ends_at)
          values (${key}, 1, now() + make_interval(secs => ${windowSeconds}::float8))
          on conflict (throttle_key) do update set
            failures = case when t.window_ends_at < now() then 1 else t.failures + 1 end,
            window_ends_at = now() + make_interval(secs => ${windowSeconds}::float8),
            blocked_until = case when t.window_ends_at >= now() and t.failures + 1 >= ${limit}::int then
              now() + make_interval(secs => least(${longestWaitSeconds}::float8,
                power(2, least(t.failures + 1 - ${limit}::int, 20))) * ${scale}::float8) end`,
    );
  }
}

/** A success forgets the account's failures; the address keeps its own. */
export async function forgetFailedLogins(ctx: Ctx, emailKey: string): Promise<void> {
  const [account] = throttlesOf(ctx, emailKey);
  await rows(ctx.em, sql`delete from login_throttle where throttle_key = ${account!.key}`);
}
