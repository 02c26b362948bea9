import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type ActionCall, type ActionEndpoint, type Route, success } from '../support/action-endpoint.ts';
import { until } from '../support/until.ts';
import { makePlace, type Tested } from './action-ground.ts';
import type { GatewayProcess } from './gateway-process.ts';

export interface SendForm {
  sends: number;
  perSecond: number;
  sources: number;
  /** Of each source. */
  conversations: number;
}

export interface Accepted {
  messageId: string;
  /** Monotonic ms of the answer. */
  at: number;
}

/** Sends through two gateways in turn, each with a key, so that one which was not answered is sent again safely. */
export class KeyedSending {
  readonly routes: Route[] = [];
  readonly accepted: Accepted[] = [];
  /** Monotonic ms at which a call was answered; none while it waits. */
  readonly answeredAt = new Map<ActionCall, number>();
  done: Promise<void> = Promise.resolve();
  #gate = Promise.withResolvers<void>();

  static async start(
    tested: Tested,
    { gateways, endpoint, form }: { gateways: GatewayProcess[]; endpoint: ActionEndpoint; form: SendForm },
  ): Promise<KeyedSending> {
    const sending = new KeyedSending();
    sending.letGo();
    const conversations: string[] = [];
    for (let count = 0; count < form.sources; count += 1) {
      const route = endpoint.route((call) => sending.#answer(call));
      sending.routes.push(route);
      conversations.push(...(await makePlace(tested, route.url, form.conversations)).conversations);
    }
    sending.done = sending.#sendAll(tested, gateways, form, conversations);
    return sending;
  }

  get calls(): ActionCall[] {
    return this.routes.flatMap(({ calls }) => calls);
  }

  inFlight(): number {
    return this.routes.reduce((sum, { inFlight }) => sum + inFlight, 0);
  }

  /** Lets calls come in and answers none. */
  hold(): void {
    this.#gate = Promise.withResolvers();
  }

  letGo(): void {
    this.#gate.resolve();
  }

  async #answer(call: ActionCall) {
    await sleep(30);
    await this.#gate.promise;
    this.answeredAt.set(call, performance.now());
    return success();
  }

  async #sendAll({ adminToken }: Tested, gateways: GatewayProcess[], form: SendForm, conversations: string[]) {
    const begunAt = performance.now();
    let next = 0;
    const write = async () => {
      while (next < form.sends) {
        const n = next;
        next += 1;
        await sleep(Math.max(0, begunAt + (n * 1_000) / form.perSecond - performance.now()));
        for (let attempt = 0; ; attempt += 1) {
          const messageId = await this.#send(gateways[(n + attempt) % gateways.length]!, adminToken, {
            key: `send-${n}`,
            conversation: conversations[n % conversations.length]!,
          });
          if (messageId) {
            this.accepted.push({ messageId, at: performance.now() });
            break;
          }
          await sleep(50);
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, write));
  }

  async #send({ url }: GatewayProcess, token: string, { key, conversation }: { key: string; conversation: string }) {
    try {
      const response = await fetch(`${url}/messages.send`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: token, 'idempotency-key': key },
        body: JSON.stringify({ conversation_id: conversation, message: { text: key } }),
        signal: AbortSignal.timeout(10_000),
      });
      const body = (await response.json()) as { id?: string };
      return response.status === 200 ? body.id : undefined;
    } catch {
      return undefined;
    }
  }
}

export interface StoredMessage {
  id: string;
  conversationId: string;
  text: string;
  state: string;
  /** Events of its change of state. */
  changes: number;
  attempts: number;
}

/** Waits until nothing is pending, and tells what became of each message. */
export async function settledMessages(databaseUrl: string, timeoutMs: number): Promise<StoredMessage[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await until(async () => {
      const { rows } = await client.query(`select 1 from message where delivery_state = 'PENDING' limit 1`);
      return rows.length === 0;
    }, timeoutMs);
    const { rows } = await client.query<StoredMessage>(
      `with changed as (select payload->>'messageId' id, count(*)::int n from event where kind = 'message.updated' group by 1),
         tried as (select message_id id, count(*)::int n from delivery_attempt group by 1)
       select m.id::text, m.conversation_id::text "conversationId", m.content->>'text' as text, m.delivery_state state,
         coalesce(changed.n, 0) changes, coalesce(tried.n, 0) attempts
       from message m left join changed on changed.id = m.id::text left join tried on tried.id = m.id
       where m.sender_type = 'USER' order by m.conversation_id, m.sequence`,
    );
    return rows;
  } finally {
    await client.end();
  }
}
