import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from '@jest/globals';
import type { App } from '../support/app.ts';
import { watchStalls } from '../support/stalls.ts';

/** No answer may keep others waiting for longer, in ms. */
export const longestStall = 50;
/** How much memory a whole plan may take, in MB. */
export const mostGrowth = 64;

/** Words of how we are made, which no answer may have. */
const innards = /node_modules|\.[jt]s:\d|at \S+ \(|select .{1,200} from|insert into|pg_|kysely|mikro/i;

export function expectNoInnards(text: string): void {
  expect(text.slice(0, 2_000)).not.toMatch(innards);
}

/**
 * Runs one request and gives its answer, with a look at how long everybody else waited. One that took long is asked
 * again: a garbage collection that falls into it is not its own.
 */
export async function unstalled<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 4; tries += 1) {
    const stall = watchStalls();
    const answer = await ask();
    least = Math.min(least, stall());
    if (least <= longestStall) return answer;
  }
  throw new Error(`others waited ${least.toFixed(0)} ms`);
}

/**
 * All rows of all tables in one hash, but for the counts of legacy calls: those of the calls before are written some
 * seconds later, whatever happens meanwhile.
 */
export async function digestOf(app: App): Promise<string> {
  const em = app.core.em.fork();
  const tables = await em.execute<{ name: string }[]>(
    "select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'legacy_call' order by 1",
  );
  const digests: string[] = [];
  for (const { name } of tables) {
    const [row] = await em.execute<{ digest: string }[]>(
      `select count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' order by t::text)), '') as digest from "${name}" t`,
    );
    digests.push(`${name} ${row!.digest}`);
  }
  return digests.join('\n');
}

/** Memory of this process in MB, once what nobody needs has been collected. */
export function memory(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().rss / 2 ** 20;
}
