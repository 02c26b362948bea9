import { afterAll, expect, it, jest } from '@jest/globals';
import { startApp } from '../support/app.ts';
import { testedApp } from './action-ground.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { publishPastSlowReader } from './slow-reader-run.ts';
import { endCounters } from './stream-counter.ts';

jest.setTimeout(60_000);
afterAll(() => {
  endSubscribers();
  endCounters();
});

it('closes a socket that reads nothing with 1013, and it goes on after its last cursor (F8)', async () => {
  const tested = await testedApp(await startApp());
  const form = { name: 'F8 slow reader, short', pid: process.pid, healthy: 10, batches: 30, warmUpBatches: 1 };
  const result = await publishPastSlowReader(tested, form);

  expect(result.code).toBe(1013);
  expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
  expect(result.healthyStreams).toBe(1);
});
