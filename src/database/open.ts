import { type EntityManager, MikroORM, type Options } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import pg from 'pg';
import type { Core, DatabaseStatus, Settings, Sql, Statement } from '../domain/context.ts';
import { DatabaseClient } from './client.ts';
import { connectionOptions, databaseName } from './connection.ts';
import { areMigrated, readMigrations } from './migrate.ts';
import { watchWaits } from './pool-waits.ts';

export interface OpenDatabase {
  /** What `pg` takes, so `?sslmode=` and `?host=/folder/of/a/socket` work. */
  url: string;
  entities: NonNullable<Options['entities']>;
  settings: Pick<Settings, 'dbPool' | 'isProduction'>;
  log: Core['log'];
  /** `ignore` is for tests, whose server trades durability for speed. */
  durability?: 'check' | 'ignore';
  /** Folder of the migrations that `isReady` compares with. */
  migrations?: string;
}

export interface Database {
  orm: MikroORM;
  /** The root entity manager. */
  em: EntityManager;
  sql: Sql;
  status: DatabaseStatus;
  /** Connections of the pool that are working, of all that are open; and those who wait for one, the first for so long. */
  connections(): { inUse: number; open: number; waiting: number; most: number; longestWaitMs: number };
  close(): Promise<void>;
}

/** Waiting for a connection, of the pool or of the network. */
const connectTimeoutMs = 2_000;
const statementTimeoutMs = 4_500;
/** For a server that does not answer at all: above the statement's own, below the 5 s in which a caller hears of it. */
const answerTimeoutMs = 4_700;
const idleInTransactionTimeoutMs = 2_000;
const readyWithinMs = 1_000;

/**
 * Opens the database for the service: bounded waits everywhere, so that an exhausted pool or an unreachable server
 * fails within 5 s, and lost connections that never end the process.
 *
 * @throws Error in production when the server may lose committed work (`fsync` or `synchronous_commit` is off)
 */
export async function openDatabase(options: OpenDatabase): Promise<Database> {
  const { url, entities, settings, log } = options;
  let pool: pg.Pool | undefined;
  let longestWaitMs = () => 0;
  // The constructor, not `init`: that one would load the migrator and other extensions, 10 MB that stay.
  const orm = new MikroORM({
    entities,
    dbName: databaseName(url),
    pool: { min: 0, max: settings.dbPool, idleTimeoutMillis: 30_000 },
    // `connectionString` overrules host, user and the rest, which MikroORM would read from its own kind of address.
    driverOptions: {
      ...connectionOptions(url),
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
      query_timeout: answerTimeoutMs,
      Client: DatabaseClient,
      pipeline: true,
      onPoolCreated(created: pg.Pool) {
        pool = created;
        longestWaitMs = watchWaits(created);
        // The pool does not keep a client that is ending.
        created.on('release', (_error, client) => {
          if ((client as DatabaseClient).isOutdated) void client.end();
        });
      },
    },
    forceUtcTimezone: true,
    metadataCache: { enabled: false },
    discovery: { warnWhenNoEntities: false },
    colors: false,
    logger: (message) => log.warn(message),
  });
  const em = orm.em as EntityManager;
  try {
    await orm.connect();
    if (options.durability !== 'ignore') await checkDurability(em, options);
  } catch (error) {
    await orm.close(true).catch(() => undefined);
    throw error;
  }
  async function lend<T>(work: (client: DatabaseClient) => Promise<T>): Promise<T> {
    // Made with the first connection, which `connect` above opened.
    const client = (await pool!.connect()) as pg.PoolClient & DatabaseClient;
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }
  const names = readMigrations(options.migrations).map((migration) => migration.name);
  return {
    orm,
    em,
    sql: {
      run: <Row>(statement: Statement, count?: (bytes: number) => void) =>
        lend((client) => client.run<Row>(statement, count)),
      runTogether: (statements) => lend((client) => client.runTogether(statements)),
      inFlights: (work) => lend((client) => client.inFlights(work)),
    },
    status: { isReady: () => within(readyWithinMs, areMigrated(em, names)) },
    connections() {
      const open = pool?.totalCount ?? 0;
      return {
        inUse: open - (pool?.idleCount ?? 0),
        open,
        waiting: pool?.waitingCount ?? 0,
        most: settings.dbPool,
        longestWaitMs: longestWaitMs(),
      };
    },
    close: () => orm.close(true),
  };
}

async function checkDurability(em: EntityManager, { settings, log }: OpenDatabase): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select name from pg_settings where name in ('fsync', 'synchronous_commit') and setting = 'off'
    order by name`.execute(em.fork().getKysely());
  if (rows.length === 0) return;
  const names = rows.map((row) => row.name).join(' and ');
  const message = `the database may lose committed work: switch ${names} on`;
  if (settings.isProduction) throw new Error(message);
  log.warn(message);
}

async function within(ms: number, answer: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([answer.catch(() => false), late]);
  } finally {
    clearTimeout(timer);
  }
}
