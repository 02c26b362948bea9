import { sourceThingId } from '../../src/domain/ids.ts';
import type { ActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { onConnection } from './feed-ground.ts';
import { type Ending, GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';
import { InboxSubscriber } from './inbox-subscriber.ts';
import { report, type Verdict, verify } from './verifier.ts';
import { WebhookLoad } from './webhook-load.ts';

export interface StopForm {
  stops: number;
  /** Acknowledged batches between a start and the next stop. */
  acksBetween: number;
  perSecond: number;
  writers: number;
  conversations?: number;
}

export interface StopResult {
  verdict: Verdict;
  endings: Ending[];
  /** What /health/ready answered first after each signal, other than 200; 0: nobody answered. */
  firstNotReady: number[];
  /** Codes that the subscriber's sockets were closed with. */
  closed: number[];
  /** Statuses of refused tries; 0: the connection was closed or refused. */
  refusals: number[];
}

/** F11: SIGTERM again and again while webhooks come in, and a new start after each. */
export async function stopUnderLoad(
  gateway: GatewayProcess,
  databaseUrl: string,
  ground: Ground,
  form: StopForm,
): Promise<StopResult> {
  const subscriber = new InboxSubscriber(gateway.wsUrl, { token: ground.adminToken, after: ground.cursor });
  const { stops, acksBetween, ...rate } = form;
  const load = new WebhookLoad({ urls: [gateway.url], ground, ...rate, seed: 11 });
  const endings: Ending[] = [];
  const firstNotReady: number[] = [];
  for (let stop = 0; stop < stops; stop += 1) {
    const acks = load.acks + acksBetween;
    await load.reached(() => load.acks >= acks);
    await until(async () => subscriber.joined > stop);
    const ended = gateway.terminate();
    firstNotReady.push(await firstStatusBut200(gateway));
    endings.push(await ended);
    await gateway.start();
  }
  const ledger = await load.stop();
  subscriber.close();
  const api = { url: gateway.url, token: ground.adminToken };
  const verdict = await verify(ledger, { databaseUrl, sourceId: ground.source.sourceId, api });
  const slowest = Math.max(...endings.map(({ ms }) => ms)).toFixed(0);
  report(`F11 ${stops} stops`, verdict, ledger, gateway.peakRssMb, `exit<=${slowest}ms`);
  return { verdict, endings, firstNotReady, closed: subscriber.closed, refusals: [...ledger.refusals.keys()] };
}

export async function firstStatusBut200(gateway: GatewayProcess): Promise<number> {
  let status = 200;
  await until(async () => {
    status = await gateway.readiness();
    return status !== 200;
  });
  return status;
}

export interface HeldConversation {
  /** How many connections wait for it. */
  waiters(): Promise<number>;
  isWaitedFor(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Keeps the row of a conversation locked while `work` runs, so that a request that sends to it stays in flight.
 * `release` lets it go on.
 */
export async function holdConversation<T>(
  databaseUrl: string,
  conversationId: string,
  work: (held: HeldConversation) => Promise<T>,
): Promise<T> {
  return onConnection(databaseUrl, async (client) => {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock(7, hashtext($1::uuid::text) & 1023)', [conversationId]);
    const waiters = async () => {
      const { rowCount } = await client.query(
        `select from pg_locks where locktype = 'advisory' and not granted
           and database = (select oid from pg_database where datname = current_database())`,
      );
      return rowCount ?? 0;
    };
    return work({
      waiters,
      isWaitedFor: async () => (await waiters()) > 0,
      release: async () => void (await client.query('rollback')),
    });
  });
}

/** One message from the contact, so that there is a conversation. Returns its id. */
export async function makeConversation(gateway: GatewayProcess, ground: Ground): Promise<string> {
  const message = {
    source_message_id: 'first',
    source_conversation_id: 'held',
    source_channel_id: ground.sourceChannelId,
    source_sender_id: 'sender',
    content: { text: 'Hello' },
    from_contact: true,
    sent_at: 1_600_000_000_000,
  };
  await gateway.post('sources.webhook', { messages: [message] }, ground.source.token);
  return sourceThingId(ground.source.sourceId, 'held');
}

/** SIGTERM while a delivery waits for an action endpoint that takes the call and says nothing. */
export async function stopBeforeAnswer(endpoint: ActionEndpoint): Promise<Ending> {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({
    databaseUrl: database.url,
    env: { OUTBOUND_ALLOW: endpoint.hostPort },
  });
  const route = endpoint.route(() => () => undefined);
  const ground = await prepareGround(gateway, route.url);
  const conversationId = await makeConversation(gateway, ground);
  const message = { conversation_id: conversationId, message: { text: 'never answered' } };
  await gateway.post('messages.send', message, ground.adminToken);
  await until(async () => route.calls.length > 0);
  const ending = await gateway.terminate();
  await database.drop();
  return ending;
}
