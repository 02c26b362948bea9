import { describe, expect, it } from '@jest/globals';
import { Subscriber, subscriberLimits } from '../../src/graphql/live-subscriber.ts';

const result = (n: number, size = 0) => ({ json: `${n}${'x'.repeat(size)}` });

function subscribe() {
  const heard = { ended: 0, overflowed: 0 };
  const subscriber = new Subscriber(
    { kind: 'anonymous' },
    { txid: 0n, id: 0n },
    {
      onEnd: () => {
        heard.ended += 1;
      },
      onOverflow: () => {
        heard.overflowed += 1;
      },
    },
  );
  return { subscriber, heard };
}

async function take(subscriber: Subscriber, count: number): Promise<string[]> {
  const taken: string[] = [];
  for (let n = 0; n < count; n += 1) taken.push((await subscriber.next()).value?.json ?? 'done');
  return taken;
}

describe('a subscriber', () => {
  it('gets in order what waits for it, however much was taken before', async () => {
    const { subscriber } = subscribe();
    for (let n = 0; n < 900; n += 1) subscriber.push(result(n));
    const taken = await take(subscriber, 900);
    expect(taken).toEqual(Array.from({ length: 900 }, (_none, n) => String(n)));
    expect(subscriber.backlog).toBe(0);
  });

  it('gets what happened while its past was replayed after that past', async () => {
    const { subscriber } = subscribe();
    subscriber.hold();
    subscriber.push(result(3));
    subscriber.pushPast(result(1));
    subscriber.pushPast(result(2));
    subscriber.release();
    expect(await take(subscriber, 3)).toEqual(['1', '2', '3']);
  });

  it('may have as much before it as the limits say, the past not counted', () => {
    const many = subscribe();
    for (let n = 0; n < subscriberLimits.events; n += 1) many.subscriber.push(result(n));
    const large = subscribe();
    large.subscriber.hold();
    for (let n = 0; n < 8; n += 1) large.subscriber.pushPast({ json: 'x'.repeat(1024 * 1024) });
    for (let n = 0; n < 4; n += 1) large.subscriber.push({ json: 'x'.repeat(1024 * 1024) });
    expect([many.heard.overflowed, large.heard.overflowed]).toEqual([0, 0]);
    many.subscriber.push(result(0));
    large.subscriber.push(result(0));
    expect([many.heard.overflowed, large.heard.overflowed]).toEqual([1, 1]);
  });

  it('has enough of its past by number or by bytes, and is never given up for it', async () => {
    const many = subscribe();
    const large = subscribe();
    for (let n = 0; n < 99; n += 1) many.subscriber.pushPast(result(n));
    large.subscriber.pushPast(result(0, 1000));
    expect([many.subscriber.hasEnough, large.subscriber.hasEnough]).toEqual([false, false]);
    many.subscriber.pushPast(result(99));
    for (let n = 0; n < 6; n += 1) large.subscriber.pushPast(result(n, 1024 * 1024));
    expect([many.subscriber.hasEnough, large.subscriber.hasEnough]).toEqual([true, true]);
    expect([many.heard.overflowed, large.heard.overflowed]).toEqual([0, 0]);
    await take(many.subscriber, 100);
    expect(many.subscriber.hasEnough).toBe(false);
  });

  it('whose socket waits hears of the end when it leaves', async () => {
    const { subscriber, heard } = subscribe();
    const waiting = subscriber.next();
    await subscriber.return();
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(heard).toEqual({ ended: 1, overflowed: 0 });
  });

  it.each<[string, (subscriber: Subscriber) => void]>([
    ['events', (one) => Array.from({ length: subscriberLimits.events + 1 }, (_none, n) => one.push(result(n)))],
    ['bytes', (one) => Array.from({ length: 5 }, (_none, n) => one.push(result(n, 1024 * 1024)))],
    [
      'events that wait for its past',
      (one) => {
        one.hold();
        for (let n = 0; n <= subscriberLimits.events; n += 1) one.push(result(n));
      },
    ],
  ])('that falls behind by too many %s ends, once, and keeps nothing', async (_what, fall) => {
    const { subscriber, heard } = subscribe();
    fall(subscriber);
    subscriber.overflow();
    expect(heard).toEqual({ ended: 1, overflowed: 1 });
    expect([subscriber.ended, subscriber.backlog]).toEqual([true, 0]);
    subscriber.push(result(1));
    subscriber.fail(new Error('too late'));
    expect(await subscriber.next()).toEqual({ value: undefined, done: true });
  });

  it('that takes nothing of its past for a while is given up; one that takes it, or leaves, is not', async () => {
    const stalled = subscribe();
    stalled.subscriber.pushPast(result(1));
    await stalled.subscriber.drained(10);
    expect(stalled.heard).toEqual({ ended: 1, overflowed: 1 });

    const reading = subscribe();
    reading.subscriber.pushPast(result(1));
    const drained = reading.subscriber.drained(60_000);
    await reading.subscriber.next();
    await drained;
    expect(reading.heard).toEqual({ ended: 0, overflowed: 0 });

    reading.subscriber.pushPast(result(2));
    const left = reading.subscriber.drained(60_000);
    await reading.subscriber.return();
    await left;
    expect(reading.heard).toEqual({ ended: 1, overflowed: 0 });
    await reading.subscriber.drained();
  });

  it('hears of a failure when it has taken what came before it, and then of the end', async () => {
    const { subscriber, heard } = subscribe();
    subscriber.push(result(1));
    subscriber.fail(new Error('the past cannot be read'));
    expect(await take(subscriber, 1)).toEqual(['1']);
    await expect(subscriber.next()).rejects.toThrow('cannot be read');
    expect(await take(subscriber, 1)).toEqual(['done']);
    expect(heard).toEqual({ ended: 1, overflowed: 0 });

    const waiting = subscribe().subscriber;
    const next = waiting.next();
    waiting.fail(new Error('the past cannot be read'));
    await expect(next).rejects.toThrow('cannot be read');
  });
});
