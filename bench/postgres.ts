import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startEmbedded } from '../src/database/embedded.ts';
import { atEnd, postmasterOf, treeCpuSeconds } from './processes.ts';

/** Everything that the bench keeps between runs. */
export const dataDir = fileURLToPath(new URL('.data', import.meta.url));
export const projectDir = fileURLToPath(new URL('..', import.meta.url));

/** The PostgreSQL server that all are measured on. */
export interface Server {
  /** Address of one of its databases. */
  url(database: string): string;
  /** Runs one statement on the maintenance database. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** CPU seconds of all its processes; NaN where it runs on another machine. */
  cpuSeconds(): number;
  /** For the report. */
  about: string;
  stop(): Promise<void>;
}

/** Fewer checkpoints in the middle of a slice; what is durable stays so. */
const parameters = { max_wal_size: '8GB', checkpoint_timeout: '30min' };

/**
 * Opens the given server, or the embedded one in a folder of its own.
 *
 * @throws Error when the server may lose committed work: figures without durability mean nothing
 */
export async function openServer(databaseUrl: string | undefined): Promise<Server> {
  const embedded = databaseUrl
    ? undefined
    : await startEmbedded({
        dataDir: join(dataDir, 'embedded'),
        log: { info: () => undefined, warn: (...words: unknown[]) => console.warn(...words) },
        parameters,
      });
  const base = databaseUrl ?? embedded!.url;
  const forget = atEnd(() => embedded?.stopNow());
  const admin = await connect(base);
  const [facts] = (
    await admin.query<{ version: string; pid: number; fsync: string; commit: string; buffers: string; local: boolean }>(
      `select current_setting('server_version') version, pg_backend_pid() pid, current_setting('fsync') fsync,
         current_setting('synchronous_commit') "commit", current_setting('shared_buffers') buffers,
         coalesce(host(inet_server_addr()) in ('127.0.0.1', '::1'), true) "local"`,
    )
  ).rows;
  if (facts?.fsync !== 'on' || facts.commit === 'off') {
    await admin.end();
    await embedded?.stop();
    throw new Error('the server must have fsync and synchronous_commit on');
  }
  const postmaster = facts.local ? postmasterOf(facts.pid) : undefined;
  const settings = `fsync ${facts.fsync}, synchronous_commit ${facts.commit}, shared_buffers ${facts.buffers}`;
  return {
    url(database) {
      const url = new URL(base);
      url.pathname = `/${encodeURIComponent(database)}`;
      return url.href;
    },
    query: async <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) =>
      (await admin.query<Row>(sql, values)).rows,
    cpuSeconds: () => (postmaster === undefined ? Number.NaN : treeCpuSeconds(postmaster)),
    about: `PostgreSQL ${facts.version} (${embedded ? 'embedded, Unix socket' : 'given'}; ${settings})`,
    async stop() {
      await admin.end().catch(() => undefined);
      await embedded?.stop();
      forget();
    },
  };
}

/** A connection of the bench itself: no time limits. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'parley bench' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

export async function withConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(url);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes `name` anew as a copy of `template`, with the same rows and statistics. */
export async function cloneDatabase(server: Server, template: string, name: string): Promise<void> {
  await dropDatabase(server, name);
  await server.query(`create database "${name}" template "${template}" strategy file_copy`);
}

export async function dropDatabase(server: Server, name: string): Promise<void> {
  await server.query(`drop database if exists "${name}" with (force)`);
}
