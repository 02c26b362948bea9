import { describe, it } from '@jest/globals';
import { checkPrograms } from './expression-ground.ts';

const seed = Date.now() % 2 ** 31;
const runs = 100_000;

describe(`X: templates and expressions at length (seed ${seed})`, () => {
  it('end with a JSON value or the typed fault, and reach nothing that is not their own', async () => {
    await checkPrograms({ seed, numRuns: runs });
    process.stdout.write(`expressions and templates, ${runs} random programs (seed ${seed}): the typed fault alone\n`);
  }, 3_600_000);
});
