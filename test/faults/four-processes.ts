import pg from 'pg';
import { type ActionEndpoint, type Route, startActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';

/** Two gateways and two workers, four processes on one database. */
export interface FourProcesses {
  gateways: [GatewayProcess, GatewayProcess];
  /** Not started yet. */
  workers: [GatewayProcess, GatewayProcess];
  ground: Ground;
  endpoint: ActionEndpoint;
  databaseUrl: string;
  sql<Row>(text: string, values?: unknown[]): Promise<Row[]>;
  /** A source for each, as only eight calls of one are made at once, with conversations. @returns their ids */
  conversations(routes: Route[], ofEach: number): Promise<string[]>;
  /** One text to each, by both gateways in turn. @returns the messages' ids */
  sendToEach(conversationIds: string[]): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startFourProcesses(): Promise<FourProcesses> {
  const database = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const process = (role: 'gateway' | 'worker') =>
    GatewayProcess.prepare({
      databaseUrl: database.url,
      // Long throttle waits: a slow machine must not outlast them.
      env: { ROLE: role, OUTBOUND_ALLOW: endpoint.hostPort, RETRY_TIME_SCALE: '30' },
    });
  const gateways: FourProcesses['gateways'] = [await process('gateway'), await process('gateway')];
  const workers: FourProcesses['workers'] = [await process('worker'), await process('worker')];
  await Promise.all(gateways.map((gateway) => gateway.start()));
  const [first] = gateways;
  const ground = await prepareGround(first);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => undefined);
  let made = 0;

  const ask = async (gateway: GatewayProcess, name: string, body: unknown, token = ground.adminToken) => {
    const answer = await gateway.post(name, body, token);
    if (answer.status >= 300) throw new Error(`${name} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };

  return {
    gateways,
    workers,
    ground,
    endpoint,
    databaseUrl: database.url,
    async sql<Row>(text: string, values?: unknown[]) {
      return (await pool.query(text, values)).rows as Row[];
    },
    async conversations(routes, ofEach) {
      const ids: string[] = [];
      for (const route of routes) {
        made += 1;
        const sourceId = `source-${made}`;
        const { token } = await ask(first, 'sources.create', { source_id: sourceId, action_endpoint: route.url });
        const channel = { source_channel_id: 'channel', name: 'A channel' };
        await ask(first, 'sources.channels.create', channel, token);
        const messages = Array.from({ length: ofEach }, (_none, n) => ({
          source_message_id: `first-${n}`,
          source_conversation_id: `conversation-${n}`,
          source_channel_id: 'channel',
          source_sender_id: `sender-${n}`,
          content: { text: 'Hello' },
          from_contact: true,
          sent_at: 1_600_000_000_000 + n,
        }));
        await ask(first, 'sources.webhook', { messages, metadata: [] }, token);
        const rows = await pool.query(
          'select c.id::text from conversation c join source s on s.id = c.source where s.source_id = $1 order by 1',
          [sourceId],
        );
        ids.push(...rows.rows.map(({ id }) => id as string));
      }
      return ids;
    },
    async sendToEach(conversationIds) {
      const send = async (id: string, index: number) => {
        const body = { conversation_id: id, message: { text: `to ${id}` } };
        return (await ask(gateways[index % 2]!, 'messages.send', body)).id as string;
      };
      const sent: string[] = [];
      // Not more at once than there are connections.
      for (let at = 0; at < conversationIds.length; at += 10) {
        sent.push(...(await Promise.all(conversationIds.slice(at, at + 10).map(send))));
      }
      return sent;
    },
    async stop() {
      await pool.end();
      // Those that were never started have nothing to end.
      await Promise.allSettled([...gateways, ...workers].map(async (one) => one.kill()));
      await database.drop();
    },
  };
}

/** Waits until nothing is pending. @returns what became of each message that was sent */
export async function settledMessages({ sql }: FourProcesses, timeoutMs = 15_000) {
  await until(async () => {
    const [row] = await sql<{ n: number }>(`select count(*)::int n from message where delivery_state = 'PENDING'`);
    return row?.n === 0;
  }, timeoutMs);
  return sql<{ id: string; state: string; terminals: number; attempts: number }>(
    `select m.id::text, m.delivery_state state,
       (select count(*)::int from event e where e.kind = 'message.updated' and e.payload->>'messageId' = m.id::text) terminals,
       (select count(*)::int from delivery_attempt d where d.message_id = m.id) attempts
     from message m where m.sender_type = 'USER'`,
  );
}
