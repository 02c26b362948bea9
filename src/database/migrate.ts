import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Migration, Migrator } from '@mikro-orm/migrations';
import { type EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import pg from 'pg';
import type { Core } from '../domain/context.ts';
import { connectionOptions, databaseName } from './connection.ts';
import { keepEventLog } from './event-log.ts';

/** One file of the folder: `001_core.sql` is called `001_core`. */
export interface MigrationFile {
  name: string;
  up: string;
  /** What follows the line `-- down`; undefined when it cannot be undone. */
  down?: string;
}

export interface Migrate {
  url: string;
  /** Default: `migrations` at the project's root. */
  folder?: string;
  log?: Pick<Core['log'], 'info'>;
}

export interface MigrationStatus {
  executed: string[];
  pending: string[];
  /** In the database but not in the folder: a newer version of the program has been here. */
  unknown: string[];
}

/** The database was migrated by a newer version of the program. */
export class DatabaseIsNewer extends Error {
  constructor(names: string[]) {
    super(`the database is newer than this program (it has ${names.join(', ')}): start the newer version`);
    this.name = 'DatabaseIsNewer';
  }
}

/** The same from `src/database` and from `dist/database`. */
const defaultFolder = fileURLToPath(new URL('../../migrations', import.meta.url));
const table = 'mikro_orm_migrations';
/** Any number, the same in each version: who migrates holds this advisory lock. */
const lockKey = 8_120_411;
const lockTimeoutMs = 2_000;
/** A start that cannot go well says so within 5 s. */
const connectTimeoutMs = 2_000;
/** Collations and what statements return that the schema and its services need came with it. */
const oldestServer = 18;
/** A migration may rewrite a large table. */
const statementTimeoutMs = 30 * 60_000;

/**
 * Reads the migrations in the order of their names.
 *
 * @throws Error for a file of another form, so that none is left out by its name
 */
export function readMigrations(folder = defaultFolder): MigrationFile[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'));
  return files.sort().map((file) => {
    if (!/^\d{3}_[a-z0-9_]+\.sql$/.test(file)) throw new Error(`${file} must be named like 001_what_it_does.sql`);
    const [up, down] = readFileSync(join(folder, file), 'utf8').split(/^-- down[ \t]*$/m);
    return { name: file.slice(0, -'.sql'.length), up: up!, ...(down !== undefined && { down }) };
  });
}

/**
 * Brings the database to the newest migration and the event log in order. Several processes may call it at once: one
 * works, the others wait. All of a call's migrations are applied or none. Gives the names of those it applied.
 *
 * @throws DatabaseIsNewer @throws Error for a server that is older than the schema's oldest
 */
export async function migrateUp({ url, folder, log }: Migrate): Promise<string[]> {
  const files = readMigrations(folder);
  return withMigrationLock(url, async (client) => {
    const { pending, unknown } = await statusOf(client, files);
    if (unknown.length > 0) throw new DatabaseIsNewer(unknown);
    if (pending.length > 0) {
      await needServer(client);
      await withMigrator(url, files, (migrator) => migrator.up());
      log?.info({ migrations: pending }, 'database migrated');
    }
    await keepEventLog(client, log);
    return pending;
  });
}

async function needServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') "version"`);
  const [{ version }] = rows as [{ version: string }];
  if (Number.parseInt(version, 10) < oldestServer) {
    throw new Error(`PostgreSQL ${oldestServer} or newer is needed, this is ${version}`);
  }
}

/**
 * Undoes the newest migration, or all after `to` (0: all of them). Gives the names of those it undid.
 *
 * @throws DatabaseIsNewer
 */
export async function migrateDown({ url, folder, log, to }: Migrate & { to?: string | 0 }): Promise<string[]> {
  const files = readMigrations(folder);
  return withMigrationLock(url, async (client) => {
    const { executed, unknown } = await statusOf(client, files);
    if (unknown.length > 0) throw new DatabaseIsNewer(unknown);
    if (to && !executed.includes(to)) throw new Error(`${to} is not a migration of this database`);
    if (executed.length === 0) return [];
    const undone = await withMigrator(url, files, (migrator) => migrator.down(to === undefined ? undefined : { to }));
    const names = undone.map((migration) => migration.name);
    log?.info({ migrations: names }, 'database migrations undone');
    return names;
  });
}

/** Compares folder and database; changes nothing. */
export async function migrationStatus({ url, folder }: Migrate): Promise<MigrationStatus> {
  const files = readMigrations(folder);
  return withClient(url, (client) => statusOf(client, files));
}

/** True when all these migrations are in the database. A newer database is fine: versions overlap while they change. */
export async function areMigrated(em: EntityManager, names: string[]): Promise<boolean> {
  const statement = sql<{ missing: boolean }>`
    select exists (select from unnest(${names}::text[]) n where n not in (select name from mikro_orm_migrations)) missing`;
  const { rows } = await statement.execute(em.fork().getKysely());
  return rows[0]?.missing === false;
}

async function statusOf(client: pg.Client, files: MigrationFile[]): Promise<MigrationStatus> {
  const found = await client.query<{ known: string | null }>('select to_regclass($1)::text known', [table]);
  const rows = found.rows[0]?.known
    ? (await client.query<{ name: string }>(`select name from ${table} order by id`)).rows
    : [];
  const executed = rows.map((row) => row.name);
  const names = files.map((file) => file.name);
  return {
    executed,
    pending: names.filter((name) => !executed.includes(name)),
    unknown: executed.filter((name) => !names.includes(name)),
  };
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    ...connectionOptions(url),
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

// Asked again and again rather than waited for: a statement that waits holds a snapshot, which would stop
// `create index concurrently` of the one that works. The lock goes with the connection.
async function withMigrationLock<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(url, async (client) => {
    const isLocked = async () => {
      const answer = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) locked', [lockKey]);
      return answer.rows[0]?.locked === true;
    };
    while (!(await isLocked())) await sleep(50);
    return work(client);
  });
}

async function withMigrator<T>(
  url: string,
  files: MigrationFile[],
  work: (migrator: Migrator) => Promise<T>,
): Promise<T> {
  // Loaded only when there is something to do: most starts need no migrator.
  const library = await import('@mikro-orm/migrations');
  const orm = new MikroORM({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    metadataCache: { enabled: false },
    dbName: databaseName(url),
    pool: { min: 0, max: 2 },
    driverOptions: {
      ...connectionOptions(url),
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      lock_timeout: lockTimeoutMs,
    },
    extensions: [library.Migrator],
    migrations: {
      tableName: table,
      migrationsList: files.map((file) => ({ name: file.name, class: toMigration(library.Migration, file) })),
      silent: true,
      snapshot: false,
      transactional: true,
      allOrNothing: true,
      disableForeignKeys: false,
    },
  });
  try {
    return await work(new library.Migrator(orm.em));
  } finally {
    await orm.close(true);
  }
}

function toMigration(Base: typeof Migration, { name, up, down }: MigrationFile) {
  return class extends Base {
    override up(): void {
      this.addSql(up);
    }

    override down(): void {
      if (down === undefined) throw new Error(`${name} cannot be undone: it has no line "-- down"`);
      this.addSql(down);
    }
  };
}
