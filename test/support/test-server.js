import pg from 'pg';

// Plain JavaScript: the global setup of jest, which is not transformed, uses it beside the tests.

/** Address of a database of the test server. */
export function databaseUrl(name) {
  const url = new URL(process.env.PARLEY_TEST_SERVER);
  url.pathname = `/${name}`;
  return url.href;
}

/** Runs one statement on the test server, outside the databases of the tests. */
export async function onServer(work) {
  const client = new pg.Client({ connectionString: process.env.PARLEY_TEST_SERVER });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Makes a database, empty or as a clone. One at a time over all workers: PostgreSQL refuses a template that is in use,
 * and another clone uses it.
 */
export async function createDatabase(name, template = 'template0') {
  await onServer(async (client) => {
    await client.query('select pg_advisory_lock(8120412)');
    await client.query(`create database ${name} template ${template}`);
  });
  return databaseUrl(name);
}

export async function dropDatabase(name) {
  await onServer((client) => client.query(`drop database if exists ${name} with (force)`));
}

/** Drops the template of a run and what was cloned from it. */
export async function dropDatabases(template) {
  await onServer(async (client) => {
    const { rows } = await client.query('select datname from pg_database where starts_with(datname, $1)', [template]);
    for (const { datname } of rows) await client.query(`drop database if exists ${datname} with (force)`);
  });
}
