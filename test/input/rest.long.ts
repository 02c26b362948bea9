import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { RestGround } from './rest-ground.ts';
import { anyValue, odd, unreadable, wrong } from './values.ts';

const seed = Date.now() % 2 ** 31;
const runs = 20_000;

describe(`R1: the older contracts with bad values in every field, at length (seed ${seed})`, () => {
  let ground: RestGround;
  beforeAll(async () => {
    ground = await RestGround.start();
  });
  afterAll(() => ground.app.stop());

  it('take no harm from any value in any field, nor from random ones', async () => {
    for (const place of ground.places) {
      for (const value of [...wrong, ...odd, ...unreadable]) await ground.try(place, value);
    }
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ground.places), anyValue, (place, value) => ground.try(place, value)),
      { seed, numRuns: runs },
    );
    process.stdout.write(`REST, ${runs} random values (seed ${seed}): no harm\n`);
  }, 3_600_000);
});
