import { afterAll, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, fullLoad } from './load-run.ts';
import { migrateUnderLoad } from './migration-run.ts';

jest.setTimeout(600_000);

afterAll(endSubscribers);

it('F13 in full: migrations beside a million messages and 100 requests a second disturb nobody', async () => {
  const load = { ...fullLoad, perSecond: 100, seed: 13 };
  const result = await migrateUnderLoad({ messages: 1_000_000, acks: 500, load });

  expectNothingLost(result, 0);
  expect(result.refused).toEqual([]);
  expect(result.together.flat()).toEqual(['901_plan']);
  expect(result.again).toEqual([]);
  expect(result.failure).toContain('nothing_like_it');
  expect(result.isOldAfterFailure).toBe(true);
  expect(result.isOldAfterDown).toBe(true);
  expect(result.isSameAfterDownAndUp).toBe(true);
  expect(result.lockWaitMs).toBeLessThanOrEqual(500);
});
