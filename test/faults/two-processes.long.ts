import { afterAll, expect, it, jest } from '@jest/globals';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { testedProcess } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess } from './gateway-process.ts';
import { compareHeard, endSubscribers, InboxSubscriber, inbox, readLog } from './inbox-subscriber.ts';
import { endCounters, StreamCounter } from './stream-counter.ts';
import { outOfOrder } from './two-gateways.ts';
import { KeyedSending, settledMessages } from './two-gateways-run.ts';
import { percentile } from './webhook-load.ts';

jest.setTimeout(900_000);
afterAll(() => {
  endSubscribers();
  endCounters();
});

it('F6 in full: 200 subscribers on one gateway, 10,000 sends through both, the other killed in mid delivery', async () => {
  const form = { sends: 10_000, perSecond: 50, sources: 10, conversations: 20 };
  const { url: databaseUrl } = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const options = { databaseUrl, env: { OUTBOUND_ALLOW: endpoint.hostPort, DB_POOL: '10' } };
  const a = await GatewayProcess.start(options);
  const b = await GatewayProcess.start(options);
  const tested = await testedProcess(a, databaseUrl);
  const token = tested.adminToken;
  const { body } = await a.post('graphql', { query: '{ eventCursor }' }, `Bearer ${token}`);
  const after: string = body.data.eventCursor;
  const parsing = Array.from({ length: 5 }, () => new InboxSubscriber(a.wsUrl, { token, after, comesBack: false }));
  const counting = Array.from(
    { length: 195 },
    () => new StreamCounter(a.wsUrl, { token, query: inbox, variables: { after } }),
  );
  await Promise.all(counting.map(({ joined }) => joined));

  const sending = await KeyedSending.start(tested, { gateways: [a, b], endpoint, form });
  await until(async () => sending.accepted.length >= form.sends / 2, 300_000);
  const repeatedWhileHealthy = repeatedOf(sending).length;
  const heldAt = performance.now();
  sending.hold();
  await until(async () => sending.inFlight() >= 20);
  await b.kill();
  const killedAt = performance.now();
  sending.letGo();
  await sending.done;
  const stored = await settledMessages(databaseUrl, 120_000);
  const log = await readLog(databaseUrl, after);
  const hasAll = () =>
    parsing.every(({ heard }) => heard.length >= log.length) &&
    counting.every(({ arrivals }) => arrivals.length >= log.length);
  await until(async () => hasAll(), 30_000);

  const repeated = repeatedOf(sending);
  const acceptedAt = new Map(sending.accepted.map(({ messageId, at }) => [messageId, at]));
  const latenciesOf = (isMeant: (accepted: number) => boolean) =>
    counting
      .flatMap(({ arrivals }) =>
        log.flatMap(({ messageId }, index) => {
          const sentAt = messageId === null ? undefined : acceptedAt.get(messageId);
          return sentAt === undefined || !isMeant(sentAt) ? [] : [Math.max(0, arrivals[index]! - sentAt)];
        }),
      )
      .sort((one, other) => one - other);
  const healthy = latenciesOf((sentAt) => sentAt < heldAt);
  const afterKill = latenciesOf((sentAt) => sentAt > killedAt);
  const delivered = stored.filter(({ state }) => state === 'DELIVERED').length;
  const figures = {
    lost: form.sends - delivered,
    dup: stored.length - new Set(stored.map(({ text }) => text)).size,
    phantom: stored.filter(({ id }) => !acceptedAt.has(id)).length,
    stuck: stored.filter(({ state }) => state === 'PENDING').length,
    p99: percentile(healthy, 0.99),
    rss: a.peakRssMb,
  };
  const again = repeated.map(([, second]) => second!.at - killedAt);
  const p50 = percentile(healthy, 0.5);
  const p99After = percentile(afterKill, 0.99);
  const more = `p50=${p50.toFixed(0)}ms p99-after-kill=${p99After.toFixed(0)}ms events=${log.length}x200 repeated=${repeated.length} last-repeat=${Math.round(Math.max(...again) / 1_000)}s`;
  tellFigures('F6 in full', figures, more);

  expect(figures).toMatchObject({ lost: 0, dup: 0, phantom: 0, stuck: 0 });
  expect(figures.p99).toBeLessThanOrEqual(500);
  expect(repeatedWhileHealthy).toBe(0);
  expect(repeated.length).toBeGreaterThan(0);
  for (const [first, second, ...others] of repeated) {
    expect(others).toEqual([]);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(second!.raw.equals(first!.raw)).toBe(true);
    // It was out when the gateway died, and its lease was over a minute after that.
    expect(first!.at).toBeLessThan(killedAt);
    expect(sending.answeredAt.get(first!)).toBeGreaterThanOrEqual(killedAt);
    expect(second!.at - killedAt).toBeLessThan(62_000);
  }
  expect(stored.filter(({ changes, attempts }) => changes !== 1 || attempts !== 1)).toEqual([]);
  expect(outOfOrder(sending.routes, stored)).toEqual([]);
  for (const { heard, faults } of parsing) {
    expect(compareHeard(heard, log)).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
    expect(faults).toEqual([]);
  }
  expect(new Set(counting.map(({ digest, arrivals }) => `${arrivals.length} ${digest}`)).size).toBe(1);
  expect(counting.flatMap(({ faults }) => faults)).toEqual([]);
});

const repeatedOf = (sending: KeyedSending) =>
  [...Map.groupBy(sending.calls, ({ messageId }) => messageId).values()].filter(({ length }) => length > 1);
