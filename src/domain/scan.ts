import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from './context.ts';
import { Unavailable } from './errors.ts';
import { perCore } from './per-core.ts';
import { compiled } from './statement.ts';
import { sqlState } from './transaction.ts';

/** The longest that one may take, ms. */
export const longestScanMs = 2_000;
const atOnce = 2;
const longestQueue = 16;

interface Turns {
  running: number;
  waiting: Set<() => void>;
}

const turnsOf = perCore((): Turns => ({ running: 0, waiting: new Set() }));

/** What each request has spent on scans, ms. */
const spent = new WeakMap<Ctx, number>();

// Whole tables may be read, in the order of their pages and by several processes, which the other statements never are.
const asScan = (ms: number) => sql`select set_config('statement_timeout', ${String(ms)}, true) timeout,
  set_config('enable_seqscan', 'on', true) seqscan, set_config('max_parallel_workers_per_gather', '2', true) workers`;

/**
 * A read that may go through whole tables: two at once in a process, so that the others keep the database and its
 * connections; all of a request together no longer than 2 s, after 2 s of waiting at most.
 *
 * @throws Unavailable it did not get its turn, or the request has had its time
 * @throws the database's own error 57014 when it takes longer: to a caller that is UNAVAILABLE too
 */
export async function scan<Row>(ctx: Ctx, statement: RawBuilder<Row>): Promise<Row[]> {
  const { core } = ctx;
  const left = Math.ceil(longestScanMs - (spent.get(ctx) ?? 0));
  if (left <= 0) throw new Unavailable('this takes too long: ask for less');
  const turns = turnsOf(core);
  await takeTurn(turns);
  const begunAt = performance.now();
  try {
    const [, found] = await core.sql.runTogether([compiled(asScan(left)), { ...compiled(statement), isOneOff: true }]);
    return found as Row[];
  } finally {
    spent.set(ctx, (spent.get(ctx) ?? 0) + performance.now() - begunAt);
    const [next] = turns.waiting;
    if (next) next();
    else turns.running -= 1;
  }
}

// Whoever waits as long as a scan may take is told so; who is let in takes the turn of the one before.
function takeTurn(turns: Turns): Promise<void> {
  if (turns.running < atOnce) {
    turns.running += 1;
    return Promise.resolve();
  }
  const tooMuch = () => new Unavailable('too much is looked for at the moment, try again');
  if (turns.waiting.size >= longestQueue) return Promise.reject(tooMuch());
  return new Promise((resolve, reject) => {
    const enter = () => {
      turns.waiting.delete(enter);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      turns.waiting.delete(enter);
      reject(tooMuch());
    }, longestScanMs);
    turns.waiting.add(enter);
  });
}

/** True for a scan that took too long or did not get its turn. */
export function isScanGivenUp(error: unknown): boolean {
  return sqlState(error) === '57014' || error instanceof Unavailable;
}
