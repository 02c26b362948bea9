import { readdirSync, rmSync } from 'node:fs';
import { dropDatabases } from './support/test-server.js';

export default async function globalTeardown(globalConfig) {
  await endServer();
  const seen = readdirSync(process.env.PARLEY_TEST_SEEN);
  rmSync(process.env.PARLEY_TEST_SEEN, { recursive: true, force: true });
  if (!isWhole(globalConfig)) return;
  const unseen = (await rowNames()).filter((name) => !seen.includes(name));
  if (unseen.length > 0) throw new Error(`no test has seen a good answer of: ${unseen.join(', ')}`);
}

/** Every row of the older contracts, whatever file it stands in. */
async function rowNames() {
  const folder = new URL('../dist/rest/contracts/', import.meta.url);
  const modules = await Promise.all(
    readdirSync(folder)
      .filter((file) => file.endsWith('.js'))
      .map((file) => import(new URL(file, folder))),
  );
  const tables = modules.flatMap((module) => Object.values(module)).filter(isTable);
  return tables.flatMap((table) => Object.keys(table));
}

function isTable(value) {
  const rows = typeof value === 'object' && value !== null ? Object.values(value) : [];
  return rows.length > 0 && rows.every((row) => typeof row?.runs === 'string');
}

// Somebody who runs a part of the tests, or the long ones, sees a part of the rows.
function isWhole({ testPathPatterns, testNamePattern, onlyChanged, onlyFailures, shard }) {
  if (process.argv.some((word) => word.startsWith('--testMatch'))) return false;
  return testPathPatterns.patterns.length === 0 && !testNamePattern && !onlyChanged && !onlyFailures && !shard;
}

async function endServer() {
  const own = globalThis.parleyTestServer;
  if (!own) {
    await dropDatabases(process.env.PARLEY_TEST_TEMPLATE);
    return;
  }
  process.off('exit', own.server.stopNow);
  // A test that leaves a connection open is reported by jest; the server must not stay because of it.
  await Promise.race([own.server.stop(), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
  own.server.stopNow();
  rmSync(own.folder, { recursive: true, force: true });
}
