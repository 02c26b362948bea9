import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { OutboundRequest } from '../../src/domain/outbound-http.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';
import { deliveryLatencies, startHanging, type Tested, testedApp } from './action-ground.ts';
import { type ActionMode, actionModes, type BadPeers, poured, publicTarget, startBadPeers } from './action-modes.ts';
import { expectAsPromised, runModes, tellModes } from './action-run.ts';
import { tellFigures } from './figures.ts';
import { hasConnectionTo } from './process-figures.ts';
import { percentile } from './webhook-load.ts';

/** 10,000 times faster: half a millisecond before the second attempt, 0.2 s before the last one. */
const retryTimeScale = 0.0001;
/** The 15 s of an exchange, for endpoints that let all of them pass. */
const slowExchangeMs = 300;

jest.setTimeout(60_000);

describe('a bad action endpoint (F3)', () => {
  let endpoint: ActionEndpoint;
  let peers: BadPeers;
  let app: App;
  let tested: Tested;
  const asked: OutboundRequest[] = [];
  const byUrl = new Map<string, ActionMode>();
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    peers = await startBadPeers();
    app = await startApp({
      settings: { retryTimeScale, outboundAllow: [endpoint.hostPort, ...peers.hostPorts] },
      outbound: (guarded) => ({
        ...guarded,
        call(request) {
          asked.push(request);
          const timeoutMs = byUrl.get(request.url)?.isSlow ? slowExchangeMs : request.timeoutMs;
          return guarded.call({ ...request, timeoutMs });
        },
      }),
    });
    tested = await testedApp(app);
  });

  it('leads to the state that is promised, in each of its modes', async () => {
    const target = endpoint.route();
    const modes = actionModes(target.url);
    const results = await runModes(tested, { modes, endpoint, peers, byUrl }, 45_000);

    tellModes('F3 modes, short', results, tested.rssMb());
    for (const result of results) expectAsPromised(result, 15_500);
    expect(target.calls).toEqual([]);
    expect(hasConnectionTo(publicTarget)).toBe(false);
    expect(asked.map(({ url }) => new URL(url).hostname)).not.toContain(publicTarget);
    for (const { timeoutMs, maxAnswerBytes } of asked) {
      expect({ timeoutMs, maxAnswerBytes }).toEqual({ timeoutMs: 15_000, maxAnswerBytes: 256 * 1024 });
    }
    expect(poured.bytes).toBeLessThan(40 * 2 ** 20);
  });

  it('keeps nobody else waiting, however many calls hang', async () => {
    // More than one process works at once.
    const hanging = await startHanging(tested, endpoint, { sources: 10, each: 8 });
    await until(async () => hanging.inFlight() >= 64);
    const latencies = await deliveryLatencies(tested, endpoint, { count: 10, perSecond: 10 });
    const hung = hanging.inFlight();
    hanging.letGo();

    const p99 = percentile(latencies, 0.99);
    const rss = tested.rssMb();
    tellFigures('F3 beside hanging, short', { lost: 0, dup: 0, phantom: 0, stuck: 0, p99, rss }, `hung=${hung}`);
    expect(hung).toBe(80);
    expect(p99).toBeLessThan(5_000);
    for (const { mostInFlight } of hanging.routes) expect(mostInFlight).toBeLessThanOrEqual(8);
  });
});
