import type pg from 'pg';

/**
 * Options of each `pg` connection of ours. `url` is read by `pg`, so `?sslmode=` and `?host=/folder/of/a/socket`
 * work; MikroORM's own reading of an address knows neither.
 */
export function connectionOptions(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'parley',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // PostgreSQL's own 4 is for disks that turn: by it, a page from the middle of a long conversation is read by sorting it.
    options: '-c random_page_cost=1.1',
  };
}

/** Name of the database in an address. */
export function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1)) || 'postgres';
}
