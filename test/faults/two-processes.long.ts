import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { until } from '../support/until.ts';
import {
  type Abandoned,
  expireLeasesOfB,
  outOfOrder,
  type Sending,
  settledDeliveries,
  startSending,
  startTwoGateways,
  type TwoGateways,
} from './two-gateways.ts';

const deliveries = { sources: 4, conversations: 6, messages: 5, answerMs: 15 };

jest.setTimeout(120_000);

let two: TwoGateways;
beforeAll(async () => {
  two = await startTwoGateways();
});
afterAll(() => two?.stop());

const callsByMessage = ({ routes }: Sending) =>
  Map.groupBy(
    routes.flatMap((route) => route.calls),
    (call) => call.messageId,
  );
const repeatedIn = (sending: Sending) => [...callsByMessage(sending)].filter(([, calls]) => calls.length > 1);
type Repeated = ReturnType<typeof repeatedIn>;

const tell = (name: string, { lanes, inFlight }: Abandoned, repeated: number) =>
  process.stdout.write(`${name}: lanes-held=${lanes} in-flight=${inFlight.length} repeated=${repeated}\n`);

/** All that were in flight, and none but what may have been. */
function expectOnlyInFlight(repeated: Repeated, { inFlight, next }: Abandoned): void {
  const ids = repeated.map(([id]) => id);
  expect(inFlight.filter((id) => !ids.includes(id))).toEqual([]);
  expect(ids.filter((id) => !next.includes(id))).toEqual([]);
}

it('repeats only the calls in flight, with the same webhook-id, when one is killed', async () => {
  const sending = await startSending(two, { ...deliveries, messages: 20 });
  await until(async () => sending.calls() >= 30);
  await sending.holdCallsOfB();
  await two.b.kill();
  sending.letGo();
  const abandoned = await expireLeasesOfB(two, sending);
  await sending.done;
  const stored = await settledDeliveries(two);
  await two.b.start();

  const repeated = repeatedIn(sending);
  tell('F6 kill', abandoned, repeated.length);
  expect(abandoned.inFlight.length).toBeGreaterThan(0);
  expectOnlyInFlight(repeated, abandoned);
  for (const [id, [first, second, ...more]] of repeated) {
    expect(more).toEqual([]);
    expect(first?.headers['webhook-id']).toBe(`msg_${id}`);
    expect(second?.headers['webhook-id']).toBe(`msg_${id}`);
    expect(second?.raw.equals(first?.raw ?? Buffer.alloc(0))).toBe(true);
  }
  expect(outOfOrder(sending.routes, stored)).toEqual([]);
  expect(
    stored.filter(({ state, terminals, attempts }) => state !== 'DELIVERED' || terminals !== 1 || attempts !== 1),
  ).toEqual([]);
});

it('writes a final state once when a stopped gateway wakes up after its leases are over (F16)', async () => {
  const sending = await startSending(two, deliveries);
  await until(async () => sending.calls() >= 30);
  await sending.holdCallsOfB();
  two.b.signal('SIGSTOP');
  sending.letGo();
  const abandoned = await expireLeasesOfB(two, sending);
  const pending = `select from message where id = any($1::uuid[]) and delivery_state = 'PENDING'`;
  const deliveredByA = until(async () => (await two.sql(pending, [abandoned.next])).length === 0);
  await deliveredByA.finally(() => two.b.signal('SIGCONT'));
  await sending.done;
  const stored = await settledDeliveries(two);
  await until(async () => two.b.output.includes('lane lost its lease'));

  const repeated = repeatedIn(sending);
  process.stdout.write(`F16: lanes-held=${abandoned.lanes} repeated=${repeated.length}\n`);
  // The leases were ended in the database; B's own clock, which would have known after 90 s, does not know. So it may
  // make one more call for each lane it held, and no result of it is written.
  expect(repeated.length).toBeLessThanOrEqual(abandoned.lanes);
  for (const [, ofMessage] of repeated) expect(ofMessage).toHaveLength(2);
  expect(outOfOrder(sending.routes, stored)).toEqual([]);
  expect(
    stored.filter(({ state, terminals, attempts }) => state !== 'DELIVERED' || terminals !== 1 || attempts !== 1),
  ).toEqual([]);
});
