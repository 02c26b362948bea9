import { afterAll, expect, it, jest } from '@jest/globals';
import { type DatabaseFault, disturbDatabase } from './database-fault-run.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, fullLoad } from './load-run.ts';

jest.setTimeout(180_000);

afterAll(endSubscribers);

it.each<DatabaseFault>([
  { kind: 'latency', lastsMs: 20_000 },
  { kind: 'reset', lastsMs: 10_000, cuts: 20 },
  { kind: 'black hole', lastsMs: 30_000 },
  { kind: 'terminate', lastsMs: 10_000, cuts: 20 },
  { kind: 'pool exhausted', lastsMs: 3_000 },
])('F14 in full: $kind between the gateway and its database loses and doubles nothing', async (fault) => {
  const result = await disturbDatabase({ faults: [fault], load: { ...fullLoad, seed: 14 }, acks: 1_000 });

  expectNothingLost(result, 5_000);
  for (const { kind, lists, ackMs, readyMs, listeningMs } of result.seen) {
    for (const { status, ms, retryAfter } of lists) {
      expect([200, 503]).toContain(status);
      if (status === 503) expect(Number(retryAfter)).toBeGreaterThan(0);
      expect(ms).toBeLessThan(kind === 'pool exhausted' ? 2_500 : 5_000);
    }
    for (const ms of [ackMs, readyMs, listeningMs]) expect(ms).toBeLessThan(5_000);
  }
});
