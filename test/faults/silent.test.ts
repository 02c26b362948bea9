import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startApp } from '../support/app.ts';
import { type Tested, testedApp } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import {
  type HostileResult,
  silent,
  silentConnections,
  slowBody,
  slowHeaders,
  socketsWithoutInit,
  subscribesOnOne,
} from './silent-run.ts';

jest.setTimeout(60_000);

describe('connections that keep the gateway waiting (F9)', () => {
  let tested: Tested;
  beforeAll(async () => {
    tested = await testedApp(await startApp());
  });

  function expectPromises(what: string, { ends, p99, lost, leftOpen }: HostileResult): void {
    const figures = { lost, dup: 'n/a', phantom: 'n/a', stuck: leftOpen > 10 ? leftOpen : 0 } as const;
    tellFigures(`F9 ${what}, short`, { ...figures, p99, rss: tested.rssMb() }, `ends=${JSON.stringify(ends)}`);
    expect(lost).toBe(0);
    expect(leftOpen).toBeLessThanOrEqual(10);
    expect(p99).toBeLessThan(5_000);
  }

  // Here the clients go by themselves: the server's patience of 15 s is for the long form.
  it.each([
    ['silent', () => silent],
    ['slow headers', () => slowHeaders],
    ['slow bodies', () => slowBody(tested.adminToken)],
  ])('hold nobody up and leave nothing behind: 200 %s', async (what, beginOf) => {
    const result = await silentConnections(tested, process.pid, { count: 200, begin: beginOf(), capMs: 1_000 });
    expectPromises(`200 ${what}`, result);
    expect(result.ends).toEqual({ 'still open': 200 });
  });

  it('are closed with 4408 when they are sockets that do not say who they are', async () => {
    const result = await socketsWithoutInit(tested, process.pid, 300);
    expectPromises('300 sockets without init', result);
    expect(result.ends).toEqual({ 4408: 300 });
  });

  it('have 100 subscriptions each, and no more', async () => {
    const result = await subscribesOnOne(tested, process.pid, 500);
    expectPromises('500 subscribes on one', result);
    expect(result.ends).toEqual({ listening: 100, TOO_LARGE: 400 });
  });
});
