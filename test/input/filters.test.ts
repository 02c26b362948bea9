import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { checkFilters, checkWays, FilterGround } from './filter-ground.ts';

const seed = Date.now() % 2 ** 31;

describe(`Q: filters (seed ${seed})`, () => {
  let ground: FilterGround;
  beforeAll(async () => {
    ground = await FilterGround.start();
  }, 60_000);
  afterAll(() => ground.app.stop());

  it('list for random trees, page by page, what a look at each conversation says', async () => {
    await checkFilters(ground, { seed, numRuns: 200 });
  }, 60_000);

  it('list the same by the ways that are meant for millions of conversations', async () => {
    await checkWays(ground, { seed, numRuns: 200 });
  }, 60_000);
});
