import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { LeaseLost, wakeLaneNow } from '../../src/domain/jobs.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { startApp } from '../support/app.ts';
import { LaneGround } from './lane-ground.ts';

let ground: LaneGround;
beforeAll(async () => {
  const app = await startApp({ settings: { role: 'gateway' } });
  ground = new LaneGround(app.core);
});
afterEach(() => ground.clear());

const retryAfter = (attempts: number) => ({ next: 'retry', inMs: 60_000, attempts }) as const;

it('counts the attempts of the next item anew when the process ends in the middle of it', async () => {
  const seen: number[] = [];
  const kind = ground.kind(async (ctx, lease) => {
    seen.push(lease.attempts);
    if (seen.length < 4) return { ...retryAfter(lease.attempts), inMs: 0 };
    await transaction(ctx, (tx) => lease.checkAndGoOn(tx));
    // The process ends here, with the next item at the head: nothing is settled.
    throw new LeaseLost(lease.lane);
  });
  const lane = await ground.lane(kind);
  for (let claim = 0; claim < 4; claim += 1) await ground.work(await ground.claimOne(lane));

  expect(seen).toEqual([1, 2, 3, 4]);
  await ground.expire(lane);
  expect(await ground.claimOne(lane)).toMatchObject({ attempts: 2 });
});

it('goes on at once, with all attempts, when somebody asked to try again while the work was failing', async () => {
  const lane = { kind: '', id: randomUUID(), group: randomUUID() };
  lane.kind = ground.kind(async (ctx, lease) => {
    await transaction(ctx, (tx) => wakeLaneNow(tx, lane));
    return retryAfter(lease.attempts);
  });
  await ground.wake(lane);
  await ground.work(await ground.claimOne(lane));

  const row = await ground.row(lane);
  expect(row).toMatchObject({ attempts: 0, isLeased: false });
  expect(row?.dueInS).toBeLessThanOrEqual(0);
});
