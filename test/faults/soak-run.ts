import { setTimeout as sleep } from 'node:timers/promises';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { onConnection } from './feed-ground.ts';
import { GatewayProcess, prepareGround } from './gateway-process.ts';
import { compareHeard, InboxSubscriber, readLog } from './inbox-subscriber.ts';
import { fullLoad } from './load-run.ts';
import { openFiles, rssMb } from './process-figures.ts';
import { report, type Verdict, verify } from './verifier.ts';
import { WebhookLoad } from './webhook-load.ts';

export interface SoakForm {
  minutes: number;
  /** Batches; half of what the fault plan asks for. */
  perSecond: number;
}

export interface SoakResult {
  verdict: Verdict;
  heard: ReturnType<typeof compareHeard>;
  /** MB a minute, over the last two thirds. */
  rssSlope: number;
  /** Most minus least open descriptors, over the last two thirds. */
  handles: number;
  /** Lanes with something to do when all is quiet again. */
  jobs: number;
}

interface Sample {
  minute: number;
  rss: number;
  files: number;
}

/** F18: webhooks, messages to the contacts, lists and a subscriber for a long time. */
export async function soak({ minutes, perSecond }: SoakForm): Promise<SoakResult> {
  const database = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const gateway = await GatewayProcess.start({
    databaseUrl: database.url,
    env: { OUTBOUND_ALLOW: endpoint.hostPort },
  });
  const ground = await prepareGround(gateway, endpoint.route().url);
  const subscriber = new InboxSubscriber(gateway.wsUrl, { token: ground.adminToken, after: ground.cursor });
  const load = new WebhookLoad({ ...fullLoad, urls: [gateway.url], ground, perSecond, seed: 18 });
  await load.reached(() => load.acks > 100);
  const list = await gateway.post('conversations.list', { page_size: 50 }, ground.adminToken);
  const conversations: string[] = list.body.data.map(({ id }: { id: string }) => id);

  const samples: Sample[] = [];
  const begunAt = performance.now();
  let sent = 0;
  for (let second = 0; second < minutes * 60; second += 1) {
    const nextAt = begunAt + (second + 1) * 1_000;
    for (let message = 0; message < 5; message += 1, sent += 1) {
      const conversation_id = conversations[sent % conversations.length];
      await gateway.post('messages.send', { conversation_id, message: { text: String(sent) } }, ground.adminToken);
      await gateway.post('conversations.list', {}, ground.adminToken);
    }
    samples.push({ minute: second / 60, rss: rssMb(gateway.pid), files: openFiles(gateway.pid) });
    await sleep(Math.max(0, nextAt - performance.now()));
  }
  const ledger = await load.stop();
  await until(async () => (await dueLanes(database.url)) === 0, 60_000).catch(() => undefined);
  const jobs = await dueLanes(database.url);
  const api = { url: gateway.url, token: ground.adminToken };
  const verdict = await verify(ledger, { databaseUrl: database.url, sourceId: ground.source.sourceId, api });
  const log = await readLog(database.url, ground.cursor);
  await until(async () => subscriber.heard.length >= log.length).catch(() => undefined);
  subscriber.close();
  const heard = compareHeard(subscriber.heard, log);

  const late = samples.filter(({ minute }) => minute >= minutes / 3);
  const rssSlope = slopeOf(late.map(({ minute, rss }) => [minute, rss]));
  const files = late.map(({ files: count }) => count);
  const handles = Math.max(...files) - Math.min(...files);
  const more = `minutes=${minutes} sent=${sent} events=${log.length} rss-slope=${rssSlope.toFixed(2)}MB/min handles=${Math.min(...files)}..${Math.max(...files)} jobs=${jobs}`;
  report(`F18 soak at ${perSecond}/s`, verdict, ledger, gateway.peakRssMb, more);
  await gateway.kill();
  await database.drop();
  return { verdict, heard, rssSlope, handles, jobs };
}

/** Lanes that have something to do now; periodic ones wait for their time. */
async function dueLanes(databaseUrl: string): Promise<number> {
  return onConnection(databaseUrl, async (client) => {
    const { rowCount } = await client.query('select from lane where due_at <= now()');
    return rowCount ?? 0;
  });
}

/** Of the line through the points that lies nearest to them. */
function slopeOf(points: [x: number, y: number][]): number {
  const mean = (of: (point: [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([one]) => one), mean(([, one]) => one)];
  return mean(([px, py]) => (px - x) * (py - y)) / mean(([px]) => (px - x) ** 2);
}
