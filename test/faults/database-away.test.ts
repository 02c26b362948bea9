import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { disturbDatabase } from './database-fault-run.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, smallLoad } from './load-run.ts';

// Processes start, and silence has to last longer than the patience with it.
jest.setTimeout(60_000);

afterAll(endSubscribers);

describe('faults between the gateway and its database (F14)', () => {
  it('lose and double nothing, are told within 5 s, and are over when they are over', async () => {
    const result = await disturbDatabase({
      faults: [
        { kind: 'latency', lastsMs: 1_000 },
        { kind: 'reset', lastsMs: 400, cuts: 2 },
        { kind: 'terminate', lastsMs: 400, cuts: 2 },
        { kind: 'pool exhausted', lastsMs: 2_600 },
        { kind: 'black hole', lastsMs: 5_500 },
      ],
      load: { ...smallLoad, seed: 14 },
      acks: 10,
    });

    // 5 s and 2 s are for a machine of its own: here other tests run beside it.
    expectNothingLost(result, 6_000);
    expect(result.refused.length).toBeGreaterThan(0);
    for (const { lists, ackMs, readyMs, listeningMs } of result.seen) {
      for (const { status, ms, retryAfter } of lists) {
        expect([200, 503]).toContain(status);
        if (status === 503) expect(Number(retryAfter)).toBeGreaterThan(0);
        expect(ms).toBeLessThan(6_000);
      }
      for (const ms of [ackMs, readyMs, listeningMs]) expect(ms).toBeLessThan(8_000);
    }
    const inVain = result.seen
      .find(({ kind }) => kind === 'pool exhausted')!
      .lists.filter(({ status }) => status === 503);
    expect(inVain.length).toBeGreaterThan(0);
    for (const { ms } of inVain) expect(ms).toBeLessThan(4_000);
  });
});
