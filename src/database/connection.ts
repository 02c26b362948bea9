import type pg from 'pg';

/**
 * Every statement of the service has its index. Plans are kept, and must not be those of a table that was empty when they
 * were made; nor may a page from the middle of a long conversation be read by sorting all of it, which looks cheaper where
 * random pages cost what they do on disks that turn. Compiling short statements costs more than they do, and so does starting
 * processes to share the work of one.
 */
const planning = '-c random_page_cost=1.1 -c enable_seqscan=off -c jit=off -c max_parallel_workers_per_gather=0';

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
    options: planning,
  };
}

/** Name of the database in an address. */
export function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1)) || 'postgres';
}
