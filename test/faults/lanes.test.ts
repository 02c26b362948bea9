import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { type Lease, wakeLaneNow, wakeLanes } from '../../src/domain/jobs.ts';
import { conversationLane } from '../../src/domain/messaging/messages/message.send.service.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { messageNow, send } from '../support/sending.ts';
import {
  addItem,
  finishWithoutVersion,
  LaneGround,
  makeItems,
  nextItem,
  stressLanes,
  writeItem,
} from './lane-ground.ts';

let app: App;
let endpoint: ActionEndpoint;
let ground: LaneGround;
beforeAll(async () => {
  endpoint = await startActionEndpoint();
  // A gateway runs no worker, so that no lane is claimed but by the test.
  app = await startApp({ settings: { role: 'gateway', outboundAllow: [endpoint.hostPort] } });
  ground = new LaneGround(app.core);
  await makeItems(ground);
});
afterEach(() => ground.clear());

describe('a wake', () => {
  it('folds with equal ones into one row, side by side too', async () => {
    const lane = { kind: ground.kind(), id: randomUUID(), group: randomUUID() };
    await ground.wake(lane, lane);
    await Promise.all(Array.from({ length: 8 }, () => ground.wake(lane)));

    expect(await ground.row(lane)).toMatchObject({ version: 9, attempts: 0, isLeased: false });
    expect(await ground.claim()).toHaveLength(1);
  });

  it('takes the earlier time of two', async () => {
    const lane = await ground.lane(ground.kind(), { inMs: 60_000 });
    await ground.wake({ ...lane, inMs: 5_000 });
    await ground.wake({ ...lane, inMs: 30_000 });

    const { dueInS } = (await ground.row(lane))!;
    expect(dueInS).toBeGreaterThan(0);
    expect(dueInS).toBeLessThanOrEqual(5);
    expect(await ground.claim()).toEqual([]);
  });

  it('does not cancel the back-off of what is ahead (trap 2)', async () => {
    const lane = await ground.lane(
      ground.kind(async (_ctx, { lane: { attempts } }) => ({ next: 'retry', inMs: 60_000, attempts })),
    );
    await ground.work(await ground.claimOne(lane));
    await ground.wake(lane);

    expect(await ground.row(lane)).toMatchObject({ version: 2, attempts: 1, isLeased: false });
    expect((await ground.row(lane))!.dueInS).toBeGreaterThan(50);
    expect(await ground.claim()).toEqual([]);
  });

  it('cancels it when somebody asks to try again', async () => {
    const lane = await ground.lane(
      ground.kind(async (_ctx, { lane: { attempts } }) => ({ next: 'retry', inMs: 60_000, attempts })),
    );
    await ground.work(await ground.claimOne(lane));
    await transaction(ground.ctx, (tx) => wakeLaneNow(tx, lane));

    expect(await ground.claimOne(lane)).toMatchObject({ attempts: 1 });
  });

  it('is not left behind by a change that is rolled back', async () => {
    const lane = { kind: ground.kind(), id: randomUUID(), group: randomUUID() };
    const change = transaction(ground.ctx, async (tx) => {
      await wakeLanes(tx, [lane]);
      throw new Error('the change fails');
    });

    await expect(change).rejects.toThrow('the change fails');
    expect(await ground.row(lane)).toBeUndefined();
  });
});

describe('finish', () => {
  it('removes a lane that has nothing left', async () => {
    const lane = await ground.lane(ground.kind());
    await ground.work(await ground.claimOne(lane));

    expect(await ground.row(lane)).toBeUndefined();
  });

  // A message comes after the work has looked for the last time, and before its lane is finished.
  async function workWithLateItem(finish: 'ours' | 'without the version check') {
    let isLate = false;
    const kind = ground.kind(async (ctx, lease) => {
      for (let n = await nextItem(ctx, lease.lane.id); n !== undefined; n = await nextItem(ctx, lease.lane.id)) {
        await writeItem(ctx, lease, n);
      }
      if (!isLate) {
        isLate = true;
        await transaction(ctx, (tx) => addItem(tx, lane, 2));
      }
      return finish === 'ours' ? { next: 'finish' } : finishWithoutVersion(ctx, lease);
    });
    const lane = { kind, id: randomUUID(), group: randomUUID() };
    await transaction(ground.ctx, (tx) => addItem(tx, lane, 1));
    for (let claimed = await ground.claim(); claimed.length > 0; claimed = await ground.claim()) {
      await Promise.all(claimed.map((one) => ground.work(one)));
    }
    const [{ left = 0 } = {}] = await ground.query<{ left: number }>(
      sql`select count(*)::int as "left" from work_item where lane = ${lane.id}::uuid and not done`,
    );
    return { left, hasLane: (await ground.row(lane)) !== undefined };
  }

  it('releases a lane that was woken meanwhile, so that nothing is lost', async () => {
    expect(await workWithLateItem('ours')).toEqual({ left: 0, hasLane: false });
  });

  it('would lose the late one without the version check', async () => {
    expect(await workWithLateItem('without the version check')).toEqual({ left: 1, hasLane: false });
  });

  it('leaves a lane alone that was removed and made anew meanwhile (trap 1)', async () => {
    const lane = await ground.lane(ground.kind());
    const slow = await ground.claimOne(lane);
    await ground.expire(lane);
    await ground.work(await ground.claimOne(lane));
    await ground.wake(lane);
    const held = await ground.claimOne(lane);
    await ground.work(slow);

    expect(held.version).toBe(slow.version);
    expect(await ground.row(lane)).toMatchObject({ version: 1, isLeased: true });
  });
});

describe('a holder whose lease ran out', () => {
  // Both make the call; the first one comes back after the second has written and finished.
  async function resultsOfTwoHolders(hasFenceCheck: boolean) {
    const called = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    let isFirst = true;
    const kind = ground.kind(async (ctx, lease: Lease) => {
      const n = await nextItem(ctx, lease.lane.id);
      if (n === undefined) return { next: 'finish' };
      if (isFirst) {
        isFirst = false;
        called.resolve();
        await answered.promise;
      }
      await writeItem(ctx, lease, n, hasFenceCheck);
      return { next: 'finish' };
    });
    const lane = { kind, id: randomUUID(), group: randomUUID() };
    await transaction(ground.ctx, (tx) => addItem(tx, lane, 1));
    const slow = ground.work(await ground.claimOne(lane));
    await called.promise;
    await ground.expire(lane);
    await ground.work(await ground.claimOne(lane));
    answered.resolve();
    await slow;
    const [{ written = 0 } = {}] = await ground.query<{ written: number }>(
      sql`select count(*)::int written from work_result where lane = ${lane.id}::uuid`,
    );
    return written;
  }

  it('writes nothing', async () => {
    expect(await resultsOfTwoHolders(true)).toBe(1);
  });

  it('would write a second time without the fence check', async () => {
    expect(await resultsOfTwoHolders(false)).toBe(2);
  });

  it('is told so before its next call, and stays told', async () => {
    const asked: boolean[] = [];
    const lane = await ground.lane(
      ground.kind(async (_ctx, lease) => {
        asked.push(await lease.isHeld(16_000));
        await ground.expire(lane);
        await ground.claimOne(lane);
        // More than is left of the lease by its own clock, so it asks.
        asked.push(await lease.isHeld(60_000), await lease.isHeld(16_000));
        return { next: 'finish' };
      }),
    );
    await ground.work(await ground.claimOne(lane));

    expect(asked).toEqual([true, false, false]);
  });

  it('loses the lane to the next claim', async () => {
    const lane = await ground.lane(ground.kind());
    const first = await ground.claimOne(lane);
    expect(await ground.claim()).toEqual([]);
    await ground.expire(lane);
    const second = await ground.claimOne(lane);

    expect(second.fence).toBeGreaterThan(first.fence);
  });
});

describe('a claim', () => {
  it('counts the attempt, whether its holder comes back or not (trap 9)', async () => {
    const lane = await ground.lane(ground.kind());
    for (const attempts of [1, 2, 3]) {
      expect(await ground.claimOne(lane)).toMatchObject({ attempts });
      await ground.expire(lane);
    }
  });

  it('takes at most eight of a group, over all claims', async () => {
    const group = randomUUID();
    const kind = ground.kind();
    await ground.wake(...Array.from({ length: 30 }, () => ({ kind, id: randomUUID(), group })));

    const first = await Promise.all([ground.claim(16), ground.claim(16), ground.claim(16), ground.claim(16)]);
    expect(first.flat().length).toBeLessThanOrEqual(8);
    const claimed = [...first.flat(), ...(await ground.claim(16))];
    expect(claimed).toHaveLength(8);
    await ground.work(claimed[0]!);
    expect(await ground.claim(16)).toHaveLength(1);
  });

  it('goes round the groups: a long queue does not keep a short one waiting', async () => {
    const kind = ground.kind();
    const [long, short, other] = [randomUUID(), randomUUID(), randomUUID()];
    const lanesOf = (group: string, count: number) =>
      Array.from({ length: count }, () => ({ kind, id: randomUUID(), group }));
    const lanes = [...lanesOf(long, 20), ...lanesOf(short, 2), ...lanesOf(other, 2)];
    for (const lane of lanes) await ground.wake(lane);

    const groupOf = new Map<string, string>(lanes.map(({ id, group }) => [id, group]));
    const claimed = (await ground.claim(6)).map(({ id }) => groupOf.get(id));
    expect(claimed.sort()).toEqual([long, long, short, short, other, other].sort());
  });

  it('leaves quiet what is due later', async () => {
    const kind = ground.kind();
    await ground.lane(kind, { inMs: 3_600_000 });
    const due = await ground.lane(kind);

    expect((await ground.claim()).map(({ id }) => id)).toEqual([due.id]);
  });
});

describe('lanes under load', () => {
  it('lose nothing, double nothing and keep the order of each, with failures and four workers', async () => {
    const result = await stressLanes(ground, {
      lanes: 60,
      groups: 2,
      items: 800,
      producers: 2,
      workers: 4,
      failures: 0.05,
      finish: 'with version',
    });

    process.stdout.write(`lanes: ${JSON.stringify(result)}\n`);
    expect(result).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
    // A soft cap: under churn one more has been seen.
    expect(result.mostLeased).toBeLessThanOrEqual(9);
  });
});

describe('poison', () => {
  it('comes to an end though each worker dies of it, and the next message goes out', async () => {
    const route = endpoint.route();
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    const poison = await send(app, conversation, 'poison');
    const next = await send(app, conversation, 'next');
    const lane = { kind: conversationLane, id: conversation.id };
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      expect(await ground.claimOne(lane)).toMatchObject({ attempts: attempt });
      await ground.expire(lane);
    }
    await ground.work(await ground.claimOne(lane));

    expect(await messageNow(app, poison)).toMatchObject({
      deliveryState: 'FAILED',
      failure: { code: 'attempts_used_up' },
    });
    expect(await messageNow(app, next)).toMatchObject({ deliveryState: 'DELIVERED' });
    expect(route.calls.map(({ messageId }) => messageId)).toEqual([next.legacyId]);
    expect(await ground.row(lane)).toBeUndefined();
  });

  it('can be sent again by hand', async () => {
    const route = endpoint.route();
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    const message = await send(app, conversation, 'poison');
    const lane = { kind: conversationLane, id: conversation.id };
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      await ground.claimOne(lane);
      await ground.expire(lane);
    }
    await ground.work(await ground.claimOne(lane));
    const { token } = await app.make.admin();
    const resent = await app.rest('messages.resend', { message_id: message.legacyId }, { token });
    await ground.work(await ground.claimOne(lane));

    expect(resent.status).toBe(200);
    expect(await messageNow(app, message)).toMatchObject({ deliveryState: 'DELIVERED' });
  });

  it('that throws is tried again later and later, while other lanes go on', async () => {
    const poison = await ground.lane(
      ground.kind(async () => {
        throw new Error('rendering failed');
      }),
    );
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await ground.work(await ground.claimOne(poison));
      waits.push((await ground.row(poison))!.dueInS);
      const good = await ground.lane(ground.kind());
      await ground.work(await ground.claimOne(good));
      expect(await ground.row(good)).toBeUndefined();
      await ground.fallDue(poison);
    }

    expect(waits[0]).toBeGreaterThan(0);
    expect(waits[1]).toBeGreaterThan(waits[0]!);
    expect(waits[2]).toBeGreaterThan(waits[1]!);
  });
});
