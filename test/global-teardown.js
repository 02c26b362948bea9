import { rmSync } from 'node:fs';
import { dropDatabases } from './support/test-server.js';

export default async function globalTeardown() {
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
