import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { checkFilters, checkWays, FilterGround } from './filter-ground.ts';

const seed = Date.now() % 2 ** 31;
const runs = 10_000;

describe(`Q: filters at length (seed ${seed})`, () => {
  let ground: FilterGround;
  beforeAll(async () => {
    ground = await FilterGround.start(90);
  }, 60_000);
  afterAll(() => ground.app.stop());

  it('list for random trees, page by page, what a look at each conversation says', async () => {
    await checkFilters(ground, { seed, numRuns: runs });
    process.stdout.write(`filters, ${runs} random trees (seed ${seed}): each list right\n`);
  }, 3_600_000);

  it('list the same by the ways that are meant for millions of conversations', async () => {
    await checkWays(ground, { seed, numRuns: runs });
  }, 3_600_000);
});
