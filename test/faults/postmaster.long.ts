import { afterAll, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, fullLoad } from './load-run.ts';
import { killPostmaster } from './postmaster-run.ts';

jest.setTimeout(300_000);

afterAll(endSubscribers);

it('F2 in full: 5 kills of the postmaster at 300 requests a second lose and double nothing', async () => {
  const result = await killPostmaster({ kills: 5, downMs: 3_000, acks: 2_000, load: { ...fullLoad, seed: 2 } });

  expectNothingLost(result, 2_000);
  for (const { lists, ackMs, readyMs, listeningMs } of result.seen) {
    // The first may have been answered before the last child heard of it.
    for (const { status, ms, retryAfter } of lists.filter((one, index) => index > 0 || one.status !== 200)) {
      expect(status).toBe(503);
      expect(Number(retryAfter)).toBeGreaterThan(0);
      expect(ms).toBeLessThan(2_000);
    }
    for (const ms of [ackMs, readyMs, listeningMs]) expect(ms).toBeLessThan(5_000);
  }
});
