import { setTimeout as sleep } from 'node:timers/promises';
import { sourceThingId } from '../../src/domain/ids.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { Crowd } from './crowd.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';
import { fullLoad } from './load-run.ts';
import { rssMb } from './process-figures.ts';
import { percentile, WebhookLoad } from './webhook-load.ts';

export interface CrowdForm {
  subscribers: number;
  /** How many of them hear something. */
  hearers: number;
  idleMs: number;
  /** One a second. */
  events: number;
  /** Of each measurement of the ingest: before, beside and after the crowd. */
  ingestMs: number;
}

export interface CrowdResult {
  /** Closed sockets and refusals. */
  faults: number;
  /** Memory of the gateway for each of them. */
  kbEach: number;
  heard: number;
  p99Ms: number;
  /** 0.1: a tenth less than without the crowd. */
  ingestDrop: number;
}

const query = `subscription ($id: ID!) { conversation(id: $id) {
  __typename ... on MessageEvent { cursor created message { id raw } } } }`;
const quietConversations = 100;

/** F10: many subscribers to whom nothing is told, then some of them hear an event a second. */
export async function gatherCrowd(form: CrowdForm): Promise<CrowdResult> {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({ databaseUrl: database.url });
  const ground = await prepareGround(gateway);
  const places = ['loud', ...Array.from({ length: quietConversations }, (_, place) => `quiet-${place}`)];
  await tell(gateway, ground, places, 'open');
  const idOf = (place: string) => sourceThingId(ground.source.sourceId, place);

  // Not counted: the first statements of a process are slow.
  await ingestRate(gateway, ground, form.ingestMs, 100);
  const measured = [await ingestRate(gateway, ground, form.ingestMs, 101)];
  // Memory that the load took is given back late: what the crowd takes is counted from a new process on.
  await gateway.terminate();
  await gateway.start();
  await tell(gateway, ground, places, 'open again');
  const before = rssMb(gateway.pid);
  const crowd = new Crowd({
    wsUrl: gateway.wsUrl,
    token: ground.adminToken,
    query,
    variables: Array.from({ length: form.subscribers }, (_, number) => ({
      id: idOf(number < form.hearers ? 'loud' : `quiet-${number % quietConversations}`),
    })),
    processes: form.subscribers > 1_000 ? 2 : 1,
  });
  await crowd.hasJoined(form.subscribers, 180_000);
  await sleep(form.idleMs);
  const kbEach = ((rssMb(gateway.pid) - before) * 1024) / form.subscribers;
  for (let event = 0; event < form.events; event += 1) {
    const nextAt = performance.now() + 1_000;
    await tell(gateway, ground, ['loud'], String(performance.timeOrigin + performance.now()));
    await sleep(nextAt - performance.now());
  }
  const wanted = form.events * form.hearers;
  await until(async () => crowd.latencies.length >= wanted).catch(() => undefined);
  // This process is new too.
  await ingestRate(gateway, ground, form.ingestMs, 104);
  const beside = await ingestRate(gateway, ground, form.ingestMs, 102);
  const { faults } = crowd;
  await crowd.leave();
  measured.push(await ingestRate(gateway, ground, form.ingestMs, 103));

  const alone = measured.reduce((sum, rate) => sum + rate, 0) / measured.length;
  const latencies = crowd.latencies.toSorted((a, b) => a - b);
  const p99Ms = percentile(latencies, 0.99);
  const ingestDrop = 1 - beside / alone;
  tellFigures(
    `F10 ${form.subscribers} subscribers`,
    {
      lost: Math.max(0, wanted - latencies.length),
      dup: Math.max(0, latencies.length - wanted),
      phantom: 'n/a',
      stuck: 'n/a',
      p99: p99Ms,
      rss: gateway.peakRssMb,
    },
    `each=${kbEach.toFixed(1)}KB closed=${faults} p50=${percentile(latencies, 0.5).toFixed(0)}ms ` +
      `ingest=${beside.toFixed(0)}/s alone=${measured.map((rate) => rate.toFixed(0)).join('..')}/s`,
  );
  await gateway.kill();
  await database.drop();
  return { faults, kbEach, heard: latencies.length, p99Ms, ingestDrop };
}

/** Batches a second that are acknowledged. */
async function ingestRate(gateway: GatewayProcess, ground: Ground, ms: number, seed: number): Promise<number> {
  const load = new WebhookLoad({ ...fullLoad, urls: [gateway.url], ground, perSecond: 1e6, seed });
  await load.reached(() => load.acks > 0);
  const begunAt = performance.now();
  const before = load.acks;
  await sleep(ms);
  const rate = ((load.acks - before) * 1000) / (performance.now() - begunAt);
  await load.stop();
  return rate;
}

let messages = 0;

async function tell(gateway: GatewayProcess, ground: Ground, places: string[], text: string): Promise<void> {
  const batch = places.map((place) => {
    messages += 1;
    return {
      source_message_id: `told-${messages}`,
      source_conversation_id: place,
      source_channel_id: ground.sourceChannelId,
      source_sender_id: `sender of ${place}`,
      content: { text },
      from_contact: true,
      sent_at: Date.now(),
    };
  });
  const { status } = await gateway.post('sources.webhook', { messages: batch }, ground.source.token);
  if (status !== 200) throw new Error(`the webhook was answered ${status}`);
}
