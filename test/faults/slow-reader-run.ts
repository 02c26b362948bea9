import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { decodeEventCursor } from '../../src/domain/events.ts';
import { sourceThingId } from '../../src/domain/ids.ts';
import { until } from '../support/until.ts';
import { makePlace, type Tested } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import { compareHeard, type Heard, InboxSubscriber, inbox, readLog } from './inbox-subscriber.ts';
import { watchRss } from './process-figures.ts';
import { StreamCounter } from './stream-counter.ts';
import { percentile } from './webhook-load.ts';

/** With the whole content, so that each event is as large as its message. */
const wholeInbox = `subscription ($after: Cursor) { inbox(after: $after) {
  ... on Event { cursor } ... on MessageEvent { message { raw } } } }`;

const perBatch = 15;
const batchesPerSecond = 15;
const conversations = 50;

/** Events of 60 kB. */
export interface SlowReaderForm {
  name: string;
  /** The process under test. */
  pid: number;
  healthy: number;
  batches: number;
  /** Published before, without the slow reader: the memory is measured from the peak of that. */
  warmUpBatches: number;
}

export interface SlowReaderResult {
  /** What the slow socket was closed with. */
  code: number;
  /** The first part heard by the slow reader, the rest after it came back with its cursor. */
  heard: ReturnType<typeof compareHeard>;
  /** Whether all healthy ones heard the whole log, and the same. */
  healthyStreams: number;
  p99: number;
  rssGrowthMb: number;
}

/** F8: one socket reads nothing while messages are published; others listen beside it. */
export async function publishPastSlowReader(tested: Tested, form: SlowReaderForm): Promise<SlowReaderResult> {
  const { adminToken: token } = tested;
  const wsUrl = `${tested.url.replace('http', 'ws')}/graphql`;
  const publisher = await startPublisher(tested);
  const healthy = Array.from({ length: form.healthy }, () => new StreamCounter(wsUrl, { token, query: inbox }));
  await Promise.all(healthy.map(({ joined }) => joined));
  // The load alone moves the memory up and down: what counts is what the slow reader adds to its peak.
  const rssAlone = watchRss(form.pid);
  await publisher.publish(form.warmUpBatches);
  // Its messages, and each conversation once as it was made: what is missing here would be counted with the rest.
  const warmUpEvents = form.warmUpBatches * perBatch + Math.min(conversations, form.warmUpBatches);
  const isWarm = ({ arrivals, last }: StreamCounter) =>
    arrivals.length >= warmUpEvents && last.equals(healthy[0]!.last);
  await until(async () => healthy.every(isWarm), 30_000);
  for (const one of healthy) one.startDigest();
  const after = await cursorNow(tested);
  const warmUp = healthy.map(({ arrivals }) => arrivals.length);

  const rssBefore = rssAlone.stop();
  const rss = watchRss(form.pid);
  const slow = await startSlowReader(wsUrl, token, after);
  const ackedAt = await publisher.publish(form.batches);
  const log = await readLog(tested.databaseUrl, after);
  const isThrough = ({ arrivals }: StreamCounter, index: number) => arrivals.length - warmUp[index]! >= log.length;
  await until(async () => healthy.every(isThrough), 30_000);
  const rssGrowthMb = rss.stop() - rssBefore;

  const { code, heard } = await slow.readAtLast();
  const rest = new InboxSubscriber(wsUrl, { token, after: heard.at(-1)?.cursor ?? after, comesBack: false });
  await until(async () => rest.heard.length >= log.length - heard.length, 60_000);
  const all = [...heard, ...rest.heard];
  rest.close();

  const latencies = healthy
    .flatMap(({ arrivals }, reader) =>
      log.flatMap(({ messageId }, index) => {
        const at = ackedAt.get(messageId ?? '');
        return at === undefined ? [] : [Math.max(0, arrivals[warmUp[reader]! + index]! - at)];
      }),
    )
    .sort((one, other) => one - other);
  const result: SlowReaderResult = {
    code,
    heard: compareHeard(all, log),
    healthyStreams: new Set(
      healthy.map(({ arrivals, digest }, index) => `${arrivals.length - warmUp[index]!} ${digest}`),
    ).size,
    p99: percentile(latencies, 0.99),
    rssGrowthMb,
  };
  for (const one of healthy) one.close();
  const megabytes = Math.round((form.batches * perBatch * messageBytes) / 1e6);
  tellFigures(
    form.name,
    {
      lost: result.heard.missed,
      dup: result.heard.twice,
      phantom: result.heard.unknown,
      stuck: 0,
      p99: result.p99,
      rss: tested.rssMb(),
    },
    `published=${megabytes}MB healthy=${form.healthy} close=${code} before-close=${heard.length}of${log.length} rss-growth=${rssGrowthMb.toFixed(1)}MB`,
  );
  return result;
}

const messageBytes = 60_000;

async function startPublisher(tested: Tested) {
  const { sourceId, token } = await makePlace(tested, undefined, 0);
  let batch = 0;
  return {
    /** @returns when each message was acknowledged, monotonic ms by its id */
    async publish(batches: number): Promise<Map<string, number>> {
      const ackedAt = new Map<string, number>();
      const begunAt = performance.now();
      for (let n = 0; n < batches; n += 1) {
        await sleep(Math.max(0, begunAt + (n * 1_000) / batchesPerSecond - performance.now()));
        batch += 1;
        const messages = Array.from({ length: perBatch }, (_, index) => ({
          source_message_id: `m-${batch}-${index}`,
          source_conversation_id: `c-${batch % conversations}`,
          source_channel_id: 'c',
          source_sender_id: `s-${batch % conversations}`,
          content: { text: 'x'.repeat(messageBytes) },
          from_contact: true,
          sent_at: Date.now(),
        }));
        const { status } = await tested.post('sources.webhook', { messages }, token);
        if (status !== 200) throw new Error(`sources.webhook answered ${status}`);
        const at = performance.now();
        for (const { source_message_id: id } of messages) ackedAt.set(sourceThingId(sourceId, id), at);
      }
      return ackedAt;
    },
  };
}

async function cursorNow({ post, adminToken }: Tested): Promise<string> {
  const { body } = await post('graphql', { query: '{ eventCursor }' }, `Bearer ${adminToken}`);
  return body.data.eventCursor;
}

/** Takes what comes into its socket, and reads it only when it is told to. */
async function startSlowReader(wsUrl: string, token: string, after: string) {
  const socket = new WebSocket(wsUrl, 'graphql-transport-ws', { perMessageDeflate: false });
  socket.on('error', () => undefined);
  const heard: (Heard & { cursor: string })[] = [];
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
  await new Promise((resolve) => socket.once('message', resolve));
  socket.on('message', (data) => {
    const { type, payload } = JSON.parse(String(data));
    if (type !== 'next') return;
    const { cursor } = payload.data.inbox;
    const { txid, id } = decodeEventCursor(cursor).position;
    heard.push({ kind: 'Event', position: `${txid}.${id}`, messageId: undefined, at: 0, cursor });
  });
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: wholeInbox, variables: { after } } }));
  socket.pause();
  return {
    async readAtLast() {
      socket.resume();
      return { code: await closed, heard };
    },
  };
}
