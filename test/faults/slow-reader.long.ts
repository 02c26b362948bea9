import { afterAll, expect, it, jest } from '@jest/globals';
import { createTestDatabase } from '../support/database.ts';
import { testedProcess } from './action-ground.ts';
import { GatewayProcess } from './gateway-process.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { publishPastSlowReader } from './slow-reader-run.ts';
import { endCounters } from './stream-counter.ts';

jest.setTimeout(300_000);
afterAll(() => {
  endSubscribers();
  endCounters();
});

it('F8 in full: 300 MB past a socket that reads nothing, 100 healthy ones beside it', async () => {
  const { url } = await createTestDatabase();
  const gateway = await GatewayProcess.start({
    databaseUrl: url,
    nodeArgs: ['--max-semi-space-size=4', '--heap-growing-percent=180'],
  });
  const tested = await testedProcess(gateway, url);
  const form = { name: 'F8 slow reader', pid: gateway.pid, healthy: 100, batches: 334, warmUpBatches: 334 };
  const result = await publishPastSlowReader(tested, form);

  // The close frame waits behind what is not read; after 30 s the server waits no longer for its answer.
  expect([1013, 1006]).toContain(result.code);
  expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
  expect(result.healthyStreams).toBe(1);
  expect(result.p99).toBeLessThanOrEqual(250);
  expect(result.rssGrowthMb).toBeLessThanOrEqual(32);
});
