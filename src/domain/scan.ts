import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from './context.ts';
import { Unavailable } from './errors.ts';
import { perCore } from './per-core.ts';
import { compiled } from './statement.ts';

/** The longest that one may take, ms. */
export const longestScanMs = 2_000;
const atOnce = 2;
const longestQueue = 16;

const turnsOf = perCore(() => ({ running: 0, waiting: [] as (() => void)[] }));

// Whole tables may be read, in the order of their pages and by several processes, which the other statements never are.
const asScan = sql`select set_config('statement_timeout', ${String(longestScanMs)}, true) timeout,
  set_config('enable_seqscan', 'on', true) seqscan, set_config('max_parallel_workers_per_gather', '2', true) workers`;

/**
 * A read that may go through whole tables: two at once, so that the others keep the database and its connections, and
 * no longer than 2 s.
 *
 * @throws Unavailable too many wait already
 * @throws the database's own error 57014 when it takes longer: to a caller that is UNAVAILABLE too
 */
export async function scan<Row>({ core }: Ctx, statement: RawBuilder<Row>): Promise<Row[]> {
  const turns = turnsOf(core);
  if (turns.running >= atOnce) {
    if (turns.waiting.length >= longestQueue) throw new Unavailable('too much is looked for at the moment, try again');
    await new Promise<void>((resolve) => turns.waiting.push(resolve));
  } else {
    turns.running += 1;
  }
  try {
    const [, found] = await core.sql.runTogether([compiled(asScan), { ...compiled(statement), isOneOff: true }]);
    return found as Row[];
  } finally {
    const next = turns.waiting.shift();
    if (next) next();
    else turns.running -= 1;
  }
}
