import { setTimeout as sleep } from 'node:timers/promises';
import { sourceThingId } from '../../src/domain/ids.ts';
import { type ActionEndpoint, type Route, success } from '../support/action-endpoint.ts';
import type { Json } from '../support/app.ts';
import { until } from '../support/until.ts';

/** A gateway by its REST calls, in this process or another. */
export type Post = (name: string, body: unknown, token?: string) => Promise<{ status: number; body: Json }>;

/** The gateway under test, with an administrator of it. */
export interface Tested {
  post: Post;
  databaseUrl: string;
  adminToken: string;
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

/** A source with an action endpoint, and conversations of it. */
export async function makePlace({ post, adminToken }: Tested, url: string, conversations = 1): Promise<Place> {
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
  await ask(post, 'sources.webhook', { messages }, token);
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
