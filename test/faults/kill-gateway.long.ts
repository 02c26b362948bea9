import { afterAll, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { killGateway } from './kill-run.ts';
import { flawless } from './verifier.ts';

jest.setTimeout(600_000);
afterAll(endSubscribers);

it('F1 in full: 20 kills at 300 requests a second lose and double nothing', async () => {
  const load = { perSecond: 300, writers: 8, conversations: 200, seed: 3 };
  const result = await killGateway({ ...load, kills: 20, acksBetween: [100, 600] });

  expect(result.verdict).toEqual(flawless);
  expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
  expect(result.reordered).toEqual([]);
  expect(result.faults).toEqual([]);
  for (const ms of result.firstAckMs) expect(ms).toBeLessThan(5_000);
});
