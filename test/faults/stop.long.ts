import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { GatewayProcess, prepareGround } from './gateway-process.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { fullLoad } from './load-run.ts';
import { stopUnderLoad } from './stop-run.ts';
import { flawless } from './verifier.ts';

jest.setTimeout(300_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  endSubscribers();
  await database.drop();
});

// What one stop does to a request in flight, and what a second signal does, is in the short form.
it('F11 in full: SIGTERM 20 times at 300 requests a second loses nothing and answers nothing but 200 and 503', async () => {
  const stops = 20;
  const gateway = await GatewayProcess.start({ databaseUrl: database.url });
  const ground = await prepareGround(gateway);
  const result = await stopUnderLoad(gateway, database.url, ground, { ...fullLoad, stops, acksBetween: 300 });
  await gateway.kill();

  expect(result.verdict).toEqual(flawless);
  expect(result.firstNotReady).toEqual(Array(stops).fill(503));
  expect(result.closed).toEqual(Array(stops).fill(1001));
  for (const { code, ms } of result.endings) {
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
  }
  expect(result.refusals.filter((status) => status !== 0 && status !== 503)).toEqual([]);
});
