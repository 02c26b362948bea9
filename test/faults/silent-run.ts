import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { openSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';
import { makePlace, type Tested } from './action-ground.ts';
import { inbox } from './inbox-subscriber.ts';
import { openFiles } from './process-figures.ts';
import { percentile, WebhookLoad } from './webhook-load.ts';

/** What a kind of hostile connection came to. */
export interface HostileResult {
  /** How the connections ended, and how many of each: `closed`, or the code of a WebSocket. */
  ends: Record<string, number>;
  /** When the last one was closed, ms from its opening. */
  longestMs: number;
  /** Of webhooks beside them, ms. */
  p99: number;
  /** Webhooks that were never acknowledged. */
  lost: number;
  /** Descriptors that are open more than before, once all is over. */
  leftOpen: number;
}

/** Runs an attack beside webhooks of another process, and waits up to 30 s until its descriptors are back. */
async function attack(
  tested: Tested,
  pid: number,
  run: () => Promise<Pick<HostileResult, 'ends' | 'longestMs'>>,
): Promise<HostileResult> {
  const { sourceId, token } = await makePlace(tested, undefined, 0);
  const ground = { adminToken: tested.adminToken, source: { sourceId, token }, sourceChannelId: 'c', cursor: '' };
  const before = openFiles(pid);
  const load = new WebhookLoad({ urls: [tested.url], ground, writers: 2, perSecond: 20, perBatch: 1 });
  await load.reached(({ acks }) => acks >= 5);
  const came = await run();
  // A short attack must not end before anybody could have felt it.
  const { acks } = load;
  await load.reached((now) => now.acks >= acks + 20);
  const ledger = await load.stop();
  // The connections of the webhooks, and one or two of the database's pool, may have come.
  const left = () => openFiles(pid) - before;
  await until(async () => left() <= 10, 30_000).catch(() => undefined);
  const lost = ledger.batches.filter(({ isAcked }) => !isAcked).length;
  return { ...came, lost, p99: percentile(ledger.latencies, 0.99), leftOpen: left() };
}

const counted = (list: (string | number)[]) =>
  Object.fromEntries([...Map.groupBy(list, String)].map(([name, all]) => [name, all.length]));

/** Opens connections, lets `begin` write to each, and waits until the server has closed all of them. */
export function silentConnections(
  tested: Tested,
  pid: number,
  { count, begin, capMs }: { count: number; begin: (socket: Socket) => void; capMs: number },
): Promise<HostileResult> {
  const { hostname, port } = new URL(tested.url);
  return attack(tested, pid, async () => {
    const lives = await Promise.all(
      Array.from({ length: count }, async () => {
        const openedAt = performance.now();
        const socket = connect(Number(port), hostname).on('error', () => undefined);
        const closed = new Promise<string>((resolve) => socket.once('close', () => resolve('closed')));
        socket.once('connect', () => begin(socket));
        const end = await Promise.race([closed, sleep(capMs, 'still open', { ref: false })]);
        socket.destroy();
        return { end, ms: performance.now() - openedAt };
      }),
    );
    return { ends: counted(lives.map(({ end }) => end)), longestMs: Math.max(...lives.map(({ ms }) => ms)) };
  });
}

/** New sockets in a millisecond: more would measure how fast the client can open them. */
const perMs = 1;

/** Sockets that never say who they are. */
export function socketsWithoutInit(tested: Tested, pid: number, count: number): Promise<HostileResult> {
  const wsUrl = `${tested.url.replace('http', 'ws')}/graphql`;
  return attack(tested, pid, async () => {
    const lives = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        await sleep(index / perMs);
        const socket = new WebSocket(wsUrl, 'graphql-transport-ws', { perMessageDeflate: false });
        socket.on('error', () => undefined);
        let openedAt = performance.now();
        socket.once('open', () => {
          openedAt = performance.now();
        });
        const code = await new Promise<number>((resolve) => socket.once('close', resolve));
        return { code, ms: performance.now() - openedAt };
      }),
    );
    return { ends: counted(lives.map(({ code }) => code)), longestMs: Math.max(...lives.map(({ ms }) => ms)) };
  });
}

/** Subscriptions over one socket: how many were refused. */
export function subscribesOnOne(tested: Tested, pid: number, count: number): Promise<HostileResult> {
  const wsUrl = `${tested.url.replace('http', 'ws')}/graphql`;
  return attack(tested, pid, async () => {
    const startedAt = performance.now();
    const socket = await openSocket(wsUrl, tested.adminToken);
    const ids = Array.from({ length: count }, () => socket.start(inbox));
    // Answers keep the order of the questions: what was let in says nothing, what was refused has said so.
    await until(async () => socket.about(ids.at(-1)!).length > 0, 30_000);
    const longestMs = performance.now() - startedAt;
    const words = ids.map((id) => {
      const [first] = socket.about(id);
      return first?.type === 'error' ? first.payload[0].extensions.code : 'listening';
    });
    socket.close();
    await socket.closed;
    return { ends: counted(words), longestMs };
  });
}

/** Says nothing, and listens. */
export function silent(socket: Socket): void {
  socket.resume();
}

/** Bytes of a request whose headers come one at a time. */
export function slowHeaders(socket: Socket): void {
  socket.write('POST /conversations.list HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ');
  dripInto(socket);
}

export const slowBody = (token: string) => (socket: Socket) => {
  const head = ['POST /conversations.list HTTP/1.1', 'host: 127.0.0.1', `authorization: ${token}`];
  socket.write([...head, 'content-type: application/json', 'content-length: 1000', '', '{'].join('\r\n'));
  dripInto(socket);
};

/** Asks for a large answer and reads nothing of it. */
export const slowRead = (token: string, conversationId: string) => (socket: Socket) => {
  const body = JSON.stringify({ conversation_id: conversationId, page_size: 100 });
  const head = ['POST /messages.list HTTP/1.1', 'host: 127.0.0.1', `authorization: ${token}`];
  const rest = ['content-type: application/json', `content-length: ${body.length}`, '', body];
  socket.write([...head, ...rest].join('\r\n'));
  socket.pause();
};

function dripInto(socket: Socket): void {
  const timer = setInterval(() => socket.write(' '), 1_000);
  socket.once('close', () => clearInterval(timer));
}

/** A conversation whose first page is more than the two ends of a connection hold. */
export async function makeLargeConversation(tested: Tested): Promise<string> {
  const { token, conversations } = await makePlace(tested, undefined, 1);
  for (let batch = 0; batch < 10; batch += 1) {
    const messages = Array.from({ length: 10 }, (_, index) => ({
      source_message_id: `large-${batch}-${index}`,
      source_conversation_id: 'c-0',
      source_channel_id: 'c',
      source_sender_id: 's-0',
      content: { text: 'x'.repeat(60_000) },
      from_contact: true,
      sent_at: Date.now(),
    }));
    const { status } = await tested.post('sources.webhook', { messages }, token);
    if (status !== 200) throw new Error(`sources.webhook answered ${status}`);
  }
  return conversations[0]!;
}
