import { afterAll, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, smallLoad } from './load-run.ts';
import { killPostmaster } from './postmaster-run.ts';

// A server of its own is made and recovers: under other load that takes its time.
jest.setTimeout(60_000);

afterAll(endSubscribers);

it('a database that is killed under webhook load loses and doubles nothing, and is not waited for (F2)', async () => {
  const result = await killPostmaster({ kills: 1, downMs: 800, acks: 20, load: { ...smallLoad, seed: 2 } });

  // 2 s and 5 s are for a machine of its own: here other tests run beside it.
  expectNothingLost(result, 4_000);
  expect(result.refused.length).toBeGreaterThan(0);
  for (const { lists, ackMs, readyMs, listeningMs } of result.seen) {
    // The first may have been answered before the last child heard of it.
    for (const { status, retryAfter } of lists.filter((one, index) => index > 0 || one.status !== 200)) {
      expect(status).toBe(503);
      expect(Number(retryAfter)).toBeGreaterThan(0);
    }
    for (const ms of [ackMs, readyMs, listeningMs]) expect(ms).toBeLessThan(8_000);
  }
});
