import { afterAll, expect, it, jest } from '@jest/globals';
import { endSubscribers } from './inbox-subscriber.ts';
import { fullLoad } from './load-run.ts';
import { soak } from './soak-run.ts';
import { flawless } from './verifier.ts';

const minutes = Number(process.env.SOAK_MINUTES ?? 30);

jest.setTimeout((minutes + 10) * 60_000);

afterAll(endSubscribers);

it(`F18 in full: ${minutes} minutes at half load leave nothing behind`, async () => {
  const result = await soak({ minutes, perSecond: fullLoad.perSecond / 2 });

  expect(result.verdict).toEqual(flawless);
  expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
  expect(result.jobs).toBe(0);
  // Connections of the pool come and go.
  expect(result.handles).toBeLessThanOrEqual(20);
  // In a few minutes memory only finds its level.
  if (minutes >= 30) expect(result.rssSlope).toBeLessThanOrEqual(1);
});
