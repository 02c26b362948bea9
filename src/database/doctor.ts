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
      const { rows } = await client.query<{ what: string }>(faults);
      const isMended = repair && rows.length > 0;
      if (isMended) for (const statement of ['begin', lock, ...mend, 'commit']) await client.query(statement);
      yield { name, faults: rows.slice(0, shown).map(({ what }) => what), count: rows.length, isMended };
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}
