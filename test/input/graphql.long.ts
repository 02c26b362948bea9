import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { GraphGround } from './graphql-ground.ts';
import { anyValue, odd, unreadable, wrong } from './values.ts';

const seed = Date.now() % 2 ** 31;
const runs = 20_000;

describe(`GraphQL with bad values at every place, at length (seed ${seed})`, () => {
  let ground: GraphGround;
  beforeAll(async () => {
    ground = await GraphGround.start();
  });
  afterAll(() => ground.stop());

  it('takes no harm from any value at any place, nor from random ones', async () => {
    for (const place of ground.places) {
      for (const value of [...wrong, ...odd, ...unreadable]) await ground.tryAll(place, value);
    }
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ground.places), anyValue, (place, value) => ground.tryAll(place, value)),
      { seed, numRuns: runs },
    );
    process.stdout.write(`GraphQL, ${runs} random values (seed ${seed}): no harm\n`);
  }, 3_600_000);
});
