import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';
import { fullLoad } from './load-run.ts';
import { rssMb } from './process-figures.ts';
import { report, type Verdict, verify } from './verifier.ts';
import { type Ledger, percentile, WebhookLoad } from './webhook-load.ts';

export interface OverloadForm {
  /** How the rate that can be kept up is found: so long, by so many writers. They make the load after it too. */
  calibrationMs: number;
  usualWriters: number;
  /** Of the overload, and of the load before and after it. */
  lastsMs: number;
  /** Open requests at once in the overload. */
  writers: number;
  /** Of the rate that can be kept up. */
  times: number;
}

export interface OverloadResult {
  verdict: Verdict;
  /** Of the overload: statuses of refused tries, how many of them had no Retry-After, p99 of the taken ones. */
  statuses: number[];
  withoutRetryAfter: number;
  acceptedP99Ms: number;
  /** Memory after the overload against the most before it. */
  rssRatio: number;
  /** From the end of the overload to the first second in which the usual load is answered as before. */
  normalAfterMs: number;
}

/** F17: more than can be done for a while. */
export async function overload(form: OverloadForm): Promise<OverloadResult> {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({ databaseUrl: database.url });
  const ground = await prepareGround(gateway);
  const usual = { ...fullLoad, writers: form.usualWriters, urls: [gateway.url], ground, timeoutMs: 20_000 };

  const before = await loadFor(form.calibrationMs, { ...usual, perSecond: 1e6, seed: 171 });
  const perSecond = before.batches.length / (form.calibrationMs / 1000);
  const usualRssMb = rssMb(gateway.pid);
  const half = { ...usual, perSecond: perSecond / 2 };

  const flood = new WebhookLoad({
    ...usual,
    writers: form.writers,
    perSecond: perSecond * form.times,
    giveUpMs: 60_000,
    seed: 172,
  });
  await sleep(form.lastsMs);
  const tries = flood.sends;
  const floodRssMb = rssMb(gateway.pid);
  const flooded = await flood.stop();
  const endedAt = performance.now();
  const quiet = new WebhookLoad({ ...half, seed: 173 });
  const normalAfterMs = await normalSince(quiet, form.usualWriters, endedAt);
  const after = await quiet.stop();

  const all = merge([before, flooded, after]);
  const api = { url: gateway.url, token: ground.adminToken };
  const verdict = await verify(all, { databaseUrl: database.url, sourceId: ground.source.sourceId, api });
  const peakRssMb = gateway.peakRssMb;
  await gateway.kill();
  await database.drop();
  const rates = [
    `sustained=${perSecond.toFixed(0)}/s`,
    `tried=${(tries / (form.lastsMs / 1000)).toFixed(0)}/s`,
    `refused=${flooded.refused.length}`,
    `rss-before=${usualRssMb.toFixed(0)}MB rss-after=${floodRssMb.toFixed(0)}MB`,
    `normal-after=${normalAfterMs.toFixed(0)}ms`,
  ];
  report(`F17 ${form.times}x overload`, verdict, { ...all, latencies: flooded.latencies }, peakRssMb, rates.join(' '));
  return {
    verdict,
    statuses: [...flooded.refusals.keys()],
    withoutRetryAfter: flooded.refused.filter(({ retryAfter }) => !(Number(retryAfter) > 0)).length,
    acceptedP99Ms: percentile(flooded.latencies, 0.99),
    rssRatio: floodRssMb / usualRssMb,
    normalAfterMs,
  };
}

async function loadFor(ms: number, options: ConstructorParameters<typeof WebhookLoad>[0] & { ground: Ground }) {
  const load = new WebhookLoad(options);
  await sleep(ms);
  return load.stop();
}

/** Waits for a run of answers without a refusal between them. */
async function normalSince(load: WebhookLoad, writers: number, since: number): Promise<number> {
  let mark = { at: performance.now(), acks: 0, sends: 0 };
  return until(async () => {
    // Each try was answered, but for those that are open.
    const refused = load.sends - mark.sends - (load.acks - mark.acks);
    if (refused > writers) mark = { at: performance.now(), acks: load.acks, sends: load.sends };
    return load.acks - mark.acks >= 100 ? mark.at - since : undefined;
  }, 30_000);
}

function merge(ledgers: Ledger[]): Ledger {
  return {
    batches: ledgers.flatMap(({ batches }) => batches),
    latencies: ledgers.flatMap(({ latencies }) => latencies).sort((a, b) => a - b),
    refused: ledgers.flatMap(({ refused }) => refused),
    refusals: new Map(),
  };
}
