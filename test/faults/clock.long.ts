import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { fakeTimeLibrary, retryScale, shiftClock, statusesAt } from './clock-run.ts';
import { tellFigures } from './figures.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, smallLoad } from './load-run.ts';

jest.setTimeout(180_000);

afterAll(endSubscribers);

if (!fakeTimeLibrary) process.stdout.write('F7 is left out: libfaketime is not installed\n');
const day = 86_400;

(fakeTimeLibrary ? describe : describe.skip)('F7 in full: a gateway whose clock is not that of its database', () => {
  it.each([
    ['10 minutes ahead', 600, 600],
    ['10 minutes behind', -600, -600],
    ['a day ahead', day, day],
    ['stepping back by 30 s', 0, -30],
  ])('%s retries at the right time, once, and loses nothing', async (_what, startsAt, stepsTo) => {
    const sends = 10;
    const result = await shiftClock({ startsAt, stepsTo, sends, acks: 300, load: { ...smallLoad, seed: 7 } });

    expectNothingLost(result, 0);
    expect(result.refused).toEqual([]);
    expect(result.undelivered).toBe(0);
    expect(result.deliveries).toHaveLength(2 * sends);
    for (const { calls, gapMs } of result.deliveries) {
      expect(calls).toBe(2);
      expect(gapMs).toBeGreaterThanOrEqual(5_000 * retryScale * 0.9);
      expect(gapMs).toBeLessThanOrEqual(5_000 * retryScale * 1.1 + 2_000);
    }
  });

  it('takes a token for a minute longer than it lives, and from a minute in the future', async () => {
    const statuses = await statusesAt([-90, -30, day + 30, day + 120]);
    const none = { lost: 'n/a', dup: 'n/a', phantom: 'n/a', stuck: 'n/a', p99: 'n/a', rss: 'n/a' } as const;
    tellFigures('F7 token at -90 s, -30 s, 1 day + 30 s, 1 day + 120 s', none, `statuses=${statuses.join()}`);

    expect(statuses).toEqual([403, 200, 200, 403]);
  });
});
