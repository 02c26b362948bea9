import { setTimeout as sleep } from 'node:timers/promises';
import { sourceThingId } from '../../src/domain/ids.ts';
import { type ActionEndpoint, type Route, success } from '../support/action-endpoint.ts';
import type { App, Json } from '../support/app.ts';
import { until } from '../support/until.ts';
import { type GatewayProcess, prepareGround } from './gateway-process.ts';

/** A gateway by its REST calls, in this process or another. */
export type Post = (name: string, body: unknown, token?: string) => Promise<{ status: number; body: Json }>;

/** The gateway under test, with an administrator of it. */
export interface Tested {
  url: string;
  post: Post;
  databaseUrl: string;
  adminToken: string;
  /** The most memory that its process held so far, as far as is known. */
  rssMb(): number;
}

/** A gateway in the process of the test. */
export async function testedApp(app: App): Promise<Tested> {
  return {
    url: app.url,
    post: (name, body, token) => app.rest(name, body, { token }),
    databaseUrl: app.database.url,
    adminToken: (await app.make.admin()).token,
    rssMb: () => process.resourceUsage().maxRSS / 1024,
  };
}

/** A gateway in a process of its own, with nobody in it yet. */
export async function testedProcess(gateway: GatewayProcess, databaseUrl: string): Promise<Tested> {
  const { adminToken } = await prepareGround(gateway);
  return {
    url: gateway.url,
    post: (name, body, token) => gateway.post(name, body, token),
    databaseUrl,
    adminToken,
    rssMb: () => gateway.peakRssMb,
  };
}

export interface Place {
  sourceId: string;
  token: string;
  conversations: string[];
}

let made = 0;

async function ask(post: Post, name: string, body: unknown, token: string): Promise<Json> {
  const answer = await post(name, body, token);
  if (answer.status >= 300) throw new Error(`${name} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A source, with an action endpoint unless it has none, and conversations of it. */
export async function makePlace(
  { post, adminToken }: Tested,
  url: string | undefined,
  conversations = 1,
): Promise<Place> {
  made += 1;
  const sourceId = `source-${process.pid}-${made}`;
  const { token } = await ask(post, 'sources.create', { source_id: sourceId, action_endpoint: url }, adminToken);
  await ask(post, 'sources.channels.create', { source_channel_id: 'c', name: 'A channel' }, token);
  const messages = Array.from({ length: conversations }, (_, index) => ({
    source_message_id: `m-${index}`,
    source_conversation_id: `c-${index}`,
    source_channel_id: 'c',
    source_sender_id: `s-${index}`,
    content: { text: 'Hello' },
    from_contact: true,
    sent_at: Date.now(),
  }));
  if (conversations > 0) await ask(post, 'sources.webhook', { messages }, token);
  return { sourceId, token, conversations: messages.map((one) => sourceThingId(sourceId, one.source_conversation_id)) };
}

export async function sendTo({ post, adminToken }: Tested, conversationId: string): Promise<string> {
  const body = { conversation_id: conversationId, message: { text: 'Hello there' } };
  return (await ask(post, 'messages.send', body, adminToken)).id;
}

/** Sources whose calls hang until they are let go, with messages on the way to them. */
export interface Hanging {
  routes: Route[];
  inFlight(): number;
  letGo(): void;
}

export async function startHanging(
  tested: Tested,
  endpoint: ActionEndpoint,
  { sources, each }: { sources: number; each: number },
): Promise<Hanging> {
  const gate = Promise.withResolvers<void>();
  const routes: Route[] = [];
  for (let count = 0; count < sources; count += 1) {
    const route = endpoint.route(() => gate.promise.then(() => success()));
    routes.push(route);
    const { conversations } = await makePlace(tested, route.url, each);
    await Promise.all(conversations.map((id) => sendTo(tested, id)));
  }
  return {
    routes,
    inFlight: () => routes.reduce((sum, route) => sum + route.inFlight, 0),
    letGo: () => gate.resolve(),
  };
}

/** From the answer to a send to the call at a healthy endpoint, ms, ascending: `count` messages at a steady rate. */
export async function deliveryLatencies(
  tested: Tested,
  endpoint: ActionEndpoint,
  { count, perSecond }: { count: number; perSecond: number },
): Promise<number[]> {
  const route = endpoint.route();
  const { conversations } = await makePlace(tested, route.url, 20);
  const acceptedAt = new Map<string, number>();
  const sending: Promise<unknown>[] = [];
  const begunAt = performance.now();
  for (let n = 0; n < count; n += 1) {
    await sleep(Math.max(0, begunAt + (n * 1_000) / perSecond - performance.now()));
    const conversation = conversations[n % conversations.length]!;
    sending.push(sendTo(tested, conversation).then((id) => acceptedAt.set(id, performance.now())));
  }
  await Promise.all(sending);
  await until(async () => route.calls.length >= count, 30_000);
  const latencies = route.calls.map(({ messageId, at }) => Math.max(0, at - acceptedAt.get(messageId)!));
  return latencies.sort((one, other) => one - other);
}
