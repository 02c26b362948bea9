import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded, stopAbandoned } from '../dist/database/embedded.js';
import { migrateUp } from '../dist/database/migrate.js';
import { isAlive } from '../dist/database/start-lock.js';
import { createDatabase } from './support/test-server.js';

const prefix = 'parley-test-';
const silent = { info() {}, warn() {} };

/**
 * One PostgreSQL for the whole run, or the one of DATABASE_URL, and in it one migrated template that each test file
 * clones. The workers find both in the environment.
 */
export default async function globalSetup() {
  process.env.PARLEY_TEST_SEEN = mkdtempSync(join(tmpdir(), 'parley-seen-'));
  const server = process.env.DATABASE_URL ? undefined : await startServer();
  process.env.PARLEY_TEST_SERVER = server ? server.url : process.env.DATABASE_URL;
  process.env.PARLEY_TEST_TEMPLATE = `parley_test_${process.pid}_${Date.now().toString(36)}`;
  const template = await createDatabase(process.env.PARLEY_TEST_TEMPLATE);
  await migrateUp({ url: template });
}

async function startServer() {
  await sweep();
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  const server = await startEmbedded({
    dataDir: folder,
    log: silent,
    parameters: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' },
  });
  // A jest that ends in any other way than by its teardown would leave the server running.
  process.once('exit', server.stopNow);
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => process.exit(130));
  globalThis.parleyTestServer = { server, folder };
  return server;
}

/** Stops and removes what runs left that were killed. */
async function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]);
    const folder = join(tmpdir(), name);
    if (!pid || isAlive(pid) || statSync(folder).uid !== process.getuid?.()) continue;
    await stopAbandoned(folder).catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}
