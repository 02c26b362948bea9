import pg from 'pg';
import { connectionOptions } from './connection.ts';

/** What can be wrong in the database, and how it is mended. */
export interface Check {
  name: string;
  /** Gives a row `what` for each fault. */
  faults: string;
  lock: string;
  mend: string[];
}

export interface Finding {
  name: string;
  /** The first of them, in words. */
  faults: string[];
  /** All of them. */
  count: number;
  /** They were there, and after the repair none is. */
  isMended: boolean;
}

const connectTimeoutMs = 5_000;
/** Counting all rows of a large database takes its time. */
const statementTimeoutMs = 600_000;
const lockTimeoutMs = 30_000;
const shown = 10;

/** Runs the checks one after the other; with `repair` mends what they find, holding off writers for as long as that takes. */
export async function* examine(url: string, checks: readonly Check[], repair: boolean): AsyncGenerator<Finding> {
  const client = new pg.Client({
    ...connectionOptions(url),
    // Whole tables are read.
    options: '-c jit=off',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (const { name, faults, lock, mend } of checks) {
      const look = async () => (await client.query<{ what: string }>(faults)).rows.map(({ what }) => what);
      const before = await look();
      const isTried = repair && before.length > 0;
      if (isTried) for (const statement of ['begin', lock, ...mend, 'commit']) await client.query(statement);
      const isMended = isTried && (await look()).length === 0;
      yield { name, faults: before.slice(0, shown), count: before.length, isMended };
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}
