import { beforeAll, expect, it, jest } from '@jest/globals';
import { createTestDatabase } from '../support/database.ts';
import { type Tested, testedProcess } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess } from './gateway-process.ts';
import {
  type HostileResult,
  makeLargeConversation,
  silent,
  silentConnections,
  slowBody,
  slowHeaders,
  slowRead,
  socketsWithoutInit,
  subscribesOnOne,
} from './silent-run.ts';

jest.setTimeout(300_000);

let gateway: GatewayProcess;
let tested: Tested;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  gateway = await GatewayProcess.start({
    databaseUrl: url,
    nodeArgs: ['--max-semi-space-size=4', '--heap-growing-percent=180'],
  });
  tested = await testedProcess(gateway, url);
});

function expectPromises(what: string, { ends, longestMs, p99, lost, leftOpen }: HostileResult): void {
  const more = `ends=${JSON.stringify(ends)} longest=${Math.round(longestMs)}ms left-open=${leftOpen}`;
  const figures = { lost, dup: 'n/a', phantom: 'n/a', stuck: leftOpen > 10 ? leftOpen : 0 } as const;
  tellFigures(`F9 ${what}`, { ...figures, p99, rss: gateway.peakRssMb }, more);
  expect(lost).toBe(0);
  expect(leftOpen).toBeLessThanOrEqual(10);
  expect(p99).toBeLessThanOrEqual(250);
}

it('F9: 3,000 silent connections are closed within 15 s', async () => {
  const result = await silentConnections(tested, gateway.pid, { count: 3_000, begin: silent, capMs: 30_000 });
  expectPromises('3,000 silent', result);
  expect(result.ends).toEqual({ closed: 3_000 });
  expect(result.longestMs).toBeLessThanOrEqual(15_000);
});

it.each([
  ['headers', () => slowHeaders],
  ['bodies', ({ adminToken }: Tested) => slowBody(adminToken)],
])('F9: 1,000 slow %s are cut within 15 s', async (what, beginOf) => {
  const result = await silentConnections(tested, gateway.pid, { count: 1_000, begin: beginOf(tested), capMs: 30_000 });
  expectPromises(`1,000 slow ${what}`, result);
  expect(result.ends).toEqual({ closed: 1_000 });
  expect(result.longestMs).toBeLessThanOrEqual(15_000);
});

it('F9: answers of 6 MB that nobody reads are let go', async () => {
  const conversation = await makeLargeConversation(tested);
  const begin = slowRead(tested.adminToken, conversation);
  // A client that reads nothing does not see the end: what counts is that the server has let go.
  const result = await silentConnections(tested, gateway.pid, { count: 10, begin, capMs: 16_000 });
  expectPromises('10 that do not read', result);
});

it('F9: 3,000 sockets without connection_init are closed with 4408 within 5 s', async () => {
  const result = await socketsWithoutInit(tested, gateway.pid, 3_000);
  expectPromises('3,000 sockets without init', result);
  expect(result.ends).toEqual({ 4408: 3_000 });
  expect(result.longestMs).toBeLessThanOrEqual(5_000);
});

it('F9: of 5,000 subscriptions on one socket all but 100 are refused', async () => {
  const result = await subscribesOnOne(tested, gateway.pid, 5_000);
  expectPromises('5,000 subscribes on one', result);
  expect(result.ends).toEqual({ listening: 100, TOO_LARGE: 4_900 });
});
