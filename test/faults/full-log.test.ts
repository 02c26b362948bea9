import { existsSync } from 'node:fs';
import { expect, it, jest } from '@jest/globals';
import { createTestDatabase } from '../support/database.ts';
import { GatewayProcess, prepareGround } from './gateway-process.ts';

// A process starts: under other load that takes its time.
jest.setTimeout(60_000);

// A device that is always full; only Linux has it.
const full = '/dev/full';

(existsSync(full) ? it : it.skip)('a log that cannot be written stops no answers (F12)', async () => {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({
    databaseUrl: database.url,
    env: { LOG_LEVEL: 'debug' },
    logFile: full,
  });
  await prepareGround(gateway);
  const { status } = await gateway.post('conversations.list', {}, 'no token');

  expect(status).toBe(403);
  expect(gateway.isRunning).toBe(true);
  await gateway.kill();
  await database.drop();
});
