import pg from 'pg';
import { registerLaneKind } from '../../src/domain/jobs.ts';
import { deliverConversation } from '../../src/domain/messaging/messages/message.deliver.service.ts';
import { conversationLane } from '../../src/domain/messaging/messages/message.send.service.ts';
import { type ActionEndpoint, type Route, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { GatewayProcess, testSecrets } from './gateway-process.ts';

/** Two gateways on one database, each with a worker: A in this process, B in one of its own. */
export interface TwoGateways {
  a: App;
  b: GatewayProcess;
  endpoint: ActionEndpoint;
  databaseUrl: string;
  /** Fences of A's claims. */
  claimsOfA: Set<bigint>;
  sql<Row>(text: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

export async function startTwoGateways(): Promise<TwoGateways> {
  const database = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const claimsOfA = new Set<bigint>();
  // What main.ts registers, with a note of which claims are A's own: B's are all others.
  registerLaneKind(conversationLane, {
    work(ctx, lease) {
      claimsOfA.add(lease.lane.fence);
      return deliverConversation.work(ctx, lease);
    },
  });
  // Long throttle waits: a slow machine must not outlast them.
  const a = await startApp({
    database: { url: database.url },
    settings: { ...testSecrets, outboundAllow: [endpoint.hostPort], retryTimeScale: 30 },
  });
  const urlOfB = new URL(database.url);
  urlOfB.searchParams.set('application_name', 'parley-b');
  const b = await GatewayProcess.start({
    databaseUrl: urlOfB.href,
    env: { OUTBOUND_ALLOW: endpoint.hostPort, RETRY_TIME_SCALE: '30' },
  });
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  // An idle connection that ends is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => undefined);
  return {
    a,
    b,
    endpoint,
    databaseUrl: database.url,
    claimsOfA,
    async sql<Row>(text: string, values?: unknown[]) {
      return (await pool.query(text, values)).rows as Row[];
    },
    async stop() {
      await pool.end();
      await b.kill().catch(() => undefined);
      await a.stop();
      await database.drop();
    },
  };
}

export interface DeliveryForm {
  sources: number;
  /** Of each source. */
  conversations: number;
  /** Of each conversation. */
  messages: number;
  /** How long the action endpoints take for an answer. */
  answerMs: number;
}

export interface SentMessage {
  id: string;
  conversationId: string;
  /** Its place among those sent in its conversation. */
  n: number;
}

/** Messages under way, sent by both gateways in turn. */
export interface Sending {
  routes: Route[];
  /** Those accepted so far, all of them when `done` has resolved. */
  sent: SentMessage[];
  done: Promise<void>;
  calls(): number;
}

/** Sends in all conversations side by side, in each one after the other. */
export async function startSending(two: TwoGateways, form: DeliveryForm): Promise<Sending> {
  const { a, b, endpoint } = two;
  const { token } = await a.make.admin();
  const routes: Route[] = [];
  const conversations: string[] = [];
  for (let s = 0; s < form.sources; s += 1) {
    const route = endpoint.route(async () => {
      await new Promise((resolve) => setTimeout(resolve, form.answerMs));
      return success();
    });
    routes.push(route);
    const source = await a.make.source({ actionEndpoint: route.url });
    const channel = await a.make.channel(source);
    for (let c = 0; c < form.conversations; c += 1) {
      conversations.push((await a.make.conversation({ source, channel })).id);
    }
  }
  const sent: SentMessage[] = [];
  const sendAll = async (conversationId: string, index: number) => {
    for (let n = 1; n <= form.messages; n += 1) {
      const body = { conversation_id: conversationId, message: { text: String(n) } };
      const isByB = (n + index) % 2 === 0;
      const answer = isByB
        ? await b.post('messages.send', body, token)
        : await a.rest('messages.send', body, { token });
      if (answer.status !== 200) throw new Error(`messages.send answered ${answer.status}`);
      sent.push({ id: answer.body.id, conversationId, n });
    }
  };
  return {
    routes,
    sent,
    done: Promise.all(conversations.map(sendAll)).then(() => undefined),
    calls: () => routes.reduce((sum, route) => sum + route.calls.length, 0),
  };
}

/** Waits until nothing is pending and returns what became of each message. */
export async function settledDeliveries(
  two: TwoGateways,
): Promise<{ id: string; conversationId: string; state: string; text: string; terminals: number; attempts: number }[]> {
  await until(async () => {
    const [row] = await two.sql<{ pending: number }>(
      `select count(*)::int pending from message where delivery_state = 'PENDING'`,
    );
    return row?.pending === 0;
  }, 15_000);
  return two.sql(
    `select m.id::text, m.conversation_id::text "conversationId", m.delivery_state state, m.content->>'text' as text,
       (select count(*)::int from event e where e.kind = 'message.updated' and e.payload->>'messageId' = m.id::text) terminals,
       (select count(*)::int from delivery_attempt d where d.message_id = m.id) attempts
     from message m where m.sender_type = 'USER' order by m.conversation_id, m.sequence`,
  );
}

/** Conversations whose messages were first called in another order than the one they were stored in. */
export function outOfOrder(routes: Route[], stored: { id: string; conversationId: string }[]): string[] {
  const places = new Map(stored.map(({ id }, index) => [id, index]));
  const lastOf = new Map<string, number>();
  const wrong = new Set<string>();
  const seen = new Set<string>();
  for (const { messageId, conversationId } of routes.flatMap((route) => route.calls)) {
    if (seen.has(messageId)) continue;
    seen.add(messageId);
    const place = places.get(messageId) ?? Number.NEGATIVE_INFINITY;
    if (place < (lastOf.get(conversationId) ?? place)) wrong.add(conversationId);
    lastOf.set(conversationId, place);
  }
  return [...wrong];
}
