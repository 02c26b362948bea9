import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { frames, messages, SocketGround } from './socket-ground.ts';

const seed = Date.now() % 2 ** 31;
const runs = 3_000;

describe(`sockets that do not keep to the protocol, at length (seed ${seed})`, () => {
  let ground: SocketGround;
  beforeAll(async () => {
    ground = await SocketGround.start();
  });
  afterAll(() => ground.app.stop());

  it.each([
    ['bytes', frames],
    ['messages', messages],
  ])(
    'random %s do no harm',
    async (what, sent) => {
      await fc.assert(
        fc.asyncProperty(fc.boolean(), sent, (isLetIn, given) => ground.throwAt(isLetIn, given)),
        { seed, numRuns: runs },
      );
      expect(await ground.isWell()).toBe(true);
      process.stdout.write(`sockets, ${runs} random lists of ${what} (seed ${seed}): no harm\n`);
    },
    3_600_000,
  );
});
