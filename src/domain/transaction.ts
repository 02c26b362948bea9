import type { EntityManager } from '@mikro-orm/postgresql';
import type { RawBuilder } from 'kysely';
import { type Core, type Ctx, type WakeupTopic, withEm } from './context.ts';
import { compiled } from './statement.ts';

/** A context inside a transaction. What others must hear of is noted in `hints` and told after the commit. */
export interface Tx extends Ctx {
  hints: Set<WakeupTopic>;
}

// Serialisation fault and deadlock; then a prepared statement of before the last migration, which by now is forgotten.
const retryable = new Set(['40001', '40P01', '0A000', '26000']);
const maxTries = 5;

/** Thrown by the work of a transaction that finds what it decided by overtaken: it is rolled back and runs again. */
export class Overtaken extends Error {
  readonly code = '40001';
}

/** True when the database gave the transaction up and the same work may pass the next time. */
function isRetryable(error: unknown): boolean {
  return retryable.has(sqlState(error) ?? '');
}

/** The five characters of PostgreSQL, from the driver's error or from MikroORM's around it. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/**
 * Runs `work` in one transaction: its changes, events and wake-ups are there together or not at all. Serialisation
 * faults, deadlocks and stale statements run again with a little jitter, so `work` must not act outside the database. The hints go
 * out after the commit only (lanes-and-events, trap 5).
 */
export function transaction<T>(ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T> {
  return retrying(async () => {
    const hints = new Set<WakeupTopic>();
    const result = await ctx.em.fork().transactional((em) => work({ ...withEm(ctx, em as EntityManager), hints }));
    for (const topic of hints) ctx.core.wakeups.hint(topic);
    return result;
  });
}

/**
 * The same promises for a change whose statements are known beforehand: they go to the database together, and each sees what
 * the ones before it locked. The rows of each.
 */
export async function changeTogether(
  core: Core,
  statements: readonly RawBuilder<unknown>[],
  hints: WakeupTopic[],
): Promise<unknown[][]> {
  const found = await retrying(() => core.sql.runTogether(statements.map(compiled)));
  for (const topic of hints) core.wakeups.hint(topic);
  return found;
}

/** Sends statements together. The rows of each. */
export type Send = <Rows extends unknown[]>(
  ...statements: { [Index in keyof Rows]: RawBuilder<Rows[Index]> }
) => Promise<{ [Index in keyof Rows]: Rows[Index][] }>;

/** The ways of a transaction to the database. `sendLast` takes the commit with it: the last word, nothing comes behind it. */
export interface Sends {
  send: Send;
  sendLast: Send;
  /** What others must hear of after the commit. */
  hints: Set<WakeupTopic>;
}

/**
 * A transaction that goes to the database a few times, each time with all that is known to be asked. The same promises as
 * `transaction`.
 */
export function inFlights<T>(core: Core, work: (sends: Sends) => Promise<T>): Promise<T> {
  return retrying(async () => {
    const hints = new Set<WakeupTopic>();
    const result = await core.sql.inFlights(({ send, sendLast }) =>
      work({
        send: ((...statements: RawBuilder<unknown>[]) => send(statements.map(compiled))) as Send,
        sendLast: ((...statements: RawBuilder<unknown>[]) => sendLast(statements.map(compiled))) as Send,
        hints,
      }),
    );
    for (const topic of hints) core.wakeups.hint(topic);
    return result;
  });
}

export function isTx(ctx: Ctx): ctx is Tx {
  return 'hints' in ctx;
}

async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || attempt === maxTries) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * attempt));
    }
  }
}
