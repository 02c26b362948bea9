import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { type KillResult, killGateway, killWithoutCommit } from './kill-run.ts';
import { flawless } from './verifier.ts';

// The short form of F1: the full one has 20 kills and 300 batches a second.
const load = { perSecond: 60, writers: 4, conversations: 40, seed: 1 };

// Processes start and end: under other load that takes its time.
jest.setTimeout(60_000);

afterAll(endSubscribers);

describe('a gateway that is killed under webhook load (F1)', () => {
  it('keeps what it acknowledged, once each, and its subscribers go on without a gap', async () => {
    const result: KillResult = await killGateway({ ...load, kills: 3, acksBetween: [15, 45] });

    expect(result.verdict).toEqual(flawless);
    expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
    expect(result.reordered).toEqual([]);
    expect(result.resets).toEqual([]);
    expect(result.faults).toEqual([]);
    expect(result.joined).toBe(4);
    // 3 s is for a machine of its own: here other tests run beside it.
    for (const ms of result.firstAckMs) expect(ms).toBeLessThan(10_000);
  });

  it('would be found out if it answered without having committed', async () => {
    const verdict = await killWithoutCommit(load);

    expect(verdict.lost).toBeGreaterThanOrEqual(20 * 5);
    expect(verdict.notes[0]).toMatch(/^lost: m-2-/);
  });
});
