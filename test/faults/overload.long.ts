import { expect, it, jest } from '@jest/globals';
import { overload } from './overload-run.ts';
import { flawless } from './verifier.ts';

jest.setTimeout(300_000);

it('F17 in full: 3 times what can be done is refused in part, in time, and leaves nothing behind', async () => {
  // What comes together is written together: eight writers alone do not reach what can be done.
  const form = { calibrationMs: 15_000, usualWriters: 64, lastsMs: 60_000, writers: 2_000, times: 3 };
  const result = await overload(form);

  expect(result.verdict).toEqual(flawless);
  expect(result.statuses.filter((status) => status !== 503 && status !== 429)).toEqual([]);
  expect(result.statuses).not.toEqual([]);
  expect(result.withoutRetryAfter).toBe(0);
  expect(result.acceptedP99Ms).toBeLessThanOrEqual(1_000);
  expect(result.rssRatio).toBeLessThanOrEqual(1.5);
  expect(result.normalAfterMs).toBeLessThanOrEqual(5_000);
});
