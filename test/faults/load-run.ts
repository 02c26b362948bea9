import { expect } from '@jest/globals';
import { until } from '../support/until.ts';
import { GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';
import { compareHeard, InboxSubscriber, readLog } from './inbox-subscriber.ts';
import { flawless, report, type Verdict, verify } from './verifier.ts';
import { percentile, type Refusal, WebhookLoad } from './webhook-load.ts';

/** The load of the fault plan. */
export const fullLoad = { perSecond: 300, writers: 8, conversations: 200 } as const;
/** The load of the short forms. */
export const smallLoad = { perSecond: 60, writers: 4, conversations: 40 } as const;

export interface LoadRunForm {
  /** The check's id first. */
  name: string;
  /** The database itself. */
  databaseUrl: string;
  /** The way on which the gateway reaches it, where that is another. */
  gatewayDatabaseUrl?: string;
  env?: Record<string, string>;
  logFile?: string;
  load: { perSecond: number; writers: number; conversations: number; seed: number };
}

export interface LoadRun {
  gateway: GatewayProcess;
  ground: Ground;
  load: WebhookLoad;
  /** Waits until so many more batches are acknowledged. @returns ms */
  acked(count?: number): Promise<number>;
}

export interface LoadRunResult {
  verdict: Verdict;
  heard: ReturnType<typeof compareHeard>;
  resets: string[];
  faults: string[];
  refused: Refusal[];
  latencies: number[];
  /** The process that was started is the one that runs. */
  isAlive: boolean;
}

/**
 * Runs a fault beside webhook load and a subscriber, and compares all that was acknowledged with all that is there when
 * it is over.
 *
 * @param fault what happens, load included before and after; gives words for the line of figures
 */
export async function runUnderLoad(
  form: LoadRunForm,
  fault: (run: LoadRun) => Promise<string>,
): Promise<LoadRunResult> {
  const { databaseUrl, gatewayDatabaseUrl = databaseUrl, env, logFile } = form;
  const gateway = await GatewayProcess.start({ databaseUrl: gatewayDatabaseUrl, env, logFile });
  const { pid } = gateway;
  const ground = await prepareGround(gateway);
  const subscriber = new InboxSubscriber(gateway.wsUrl, { token: ground.adminToken, after: ground.cursor });
  // A hang must be seen as one, not as a writer that gave up.
  const load = new WebhookLoad({ urls: [gateway.url], ground, timeoutMs: 20_000, ...form.load });
  const acked = async (count = 1) => {
    const begunAt = performance.now();
    const acks = load.acks + count;
    await load.reached(() => load.acks >= acks);
    return performance.now() - begunAt;
  };
  const words = await fault({ gateway, ground, load, acked });
  const ledger = await load.stop();
  const isAlive = gateway.isRunning && gateway.pid === pid;
  const api = { url: gateway.url, token: ground.adminToken };
  const verdict = await verify(ledger, { databaseUrl, sourceId: ground.source.sourceId, api });
  const log = await readLog(databaseUrl, ground.cursor);
  await until(async () => subscriber.heard.length >= log.length).catch(() => undefined);
  subscriber.close();
  await gateway.kill();
  const { refused, latencies } = ledger;
  const slowest = Math.max(0, ...refused.map(({ ms }) => ms)).toFixed(0);
  const p50 = percentile(latencies, 0.5).toFixed(0);
  const more = `events=${log.length} p50=${p50}ms refused=${refused.length} refused<=${slowest}ms ${words}`;
  report(form.name, verdict, ledger, gateway.peakRssMb, more);
  const heard = compareHeard(subscriber.heard, log);
  return { verdict, heard, resets: subscriber.resets, faults: subscriber.faults, refused, latencies, isAlive };
}

/** All is there once and was heard once; what was not taken was told so in time, with a time to come back. */
export function expectNothingLost(result: LoadRunResult, refusedWithinMs: number): void {
  expect(result.verdict).toEqual(flawless);
  expect(result.heard).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
  expect(result.resets).toEqual([]);
  expect(result.faults).toEqual([]);
  expect(result.isAlive).toBe(true);
  for (const { status, ms, retryAfter } of result.refused) {
    expect(status).toBe(503);
    expect(Number(retryAfter)).toBeGreaterThan(0);
    expect(ms).toBeLessThan(refusedWithinMs);
  }
}
