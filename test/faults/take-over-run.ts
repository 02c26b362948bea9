import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type ActionCall, type Route, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { startApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { makePlace, testedApp } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess, testSecrets } from './gateway-process.ts';
import { outOfOrder } from './two-gateways.ts';
import { percentile } from './webhook-load.ts';

export interface TakeOverForm {
  name: string;
  /** What happens to the process that has the calls in flight. */
  signal: 'SIGKILL' | 'SIGSTOP';
  /** Conversations with a call in flight at that moment. */
  conversations: number;
  /** Of each conversation; the first one is in flight, the others wait behind it. */
  messages: number;
  /** For how long the process is stopped at least, ms. Shorter than a lease: the test ends the leases itself. */
  stoppedMs: number;
}

export interface TakeOverResult {
  /** Leases that the process held. */
  leases: number;
  /** How often each message was called, by its place in its conversation. */
  calls: { first: number[]; later: number[] };
  /** Whether calls of one message had the same webhook-id and the same bytes. */
  isSameCall: boolean;
  outOfOrder: string[];
  /** Messages that are not DELIVERED with one change of state and one attempt written. */
  wrong: unknown[];
  /** How often the process that came back found a lane lost. */
  foundLost: number;
}

const leaseMs = 60_000;

/**
 * F6 and F16 without a race: one process is the only worker, each of its calls waits for the test, and nothing else is
 * due. It is killed or stopped, its leases end, and only then another worker starts.
 */
export async function takeOver(form: TakeOverForm): Promise<TakeOverResult> {
  const database = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const settings = { ...testSecrets, outboundAllow: [endpoint.hostPort] };
  const front = await startApp({ database: { url: database.url }, settings: { ...settings, role: 'gateway' } });
  const tested = await testedApp(front);
  const ownUrl = new URL(database.url);
  ownUrl.searchParams.set('application_name', 'the-first');
  const process = await GatewayProcess.start({
    databaseUrl: ownUrl.href,
    env: { OUTBOUND_ALLOW: endpoint.hostPort },
  });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const sql = async (text: string) => (await client.query(text)).rows;

  const gate = Promise.withResolvers<void>();
  let held = 0;
  const answer = async ({ body, attempt }: ActionCall) => {
    if (body.payload.message.content.text === '1' && attempt === 1) {
      held += 1;
      await gate.promise;
    }
    return success();
  };
  const routes: Route[] = [];
  let sent = 0;
  for (let left = form.conversations; left > 0; left -= 8) {
    const route = endpoint.route(answer);
    routes.push(route);
    const { conversations } = await makePlace(tested, route.url, Math.min(8, left));
    for (let n = 1; n <= form.messages; n += 1) {
      for (const id of conversations) {
        const body = { conversation_id: id, message: { text: String(n) } };
        const { status } = await tested.post('messages.send', body, tested.adminToken);
        if (status === 200) sent += 1;
      }
    }
  }
  await until(async () => held === form.conversations, 30_000);
  // A claim that is on its way when the process stops could be run after its leases have ended, and take them again.
  await until(async () => {
    const busy = await sql(`select from pg_stat_activity where application_name = 'the-first'
      and (state <> 'idle' or state_change > clock_timestamp() - interval '100 ms')`);
    return busy.length === 0;
  });

  if (form.signal === 'SIGKILL') {
    await process.kill();
    await until(
      async () => (await sql(`select from pg_stat_activity where application_name = 'the-first'`)).length === 0,
    );
  } else process.signal(form.signal);
  const stoppedAt = performance.now();
  const { length: leases } =
    form.stoppedMs < leaseMs
      ? await sql('update lane set leased_until = now() where leased_until > now() returning 1')
      : await sql('select from lane where leased_until > now()');
  const endedAt = form.stoppedMs < leaseMs ? performance.now() : stoppedAt + leaseMs;
  const second = await startApp({ database: { url: database.url }, settings: { ...settings, role: 'worker' } });
  await until(
    async () => (await sql(`select from message where delivery_state = 'PENDING' limit 1`)).length === 0,
    leaseMs + 30_000,
  );

  gate.resolve();
  const foundLost = () => process.output.split('lane lost its lease').length - 1;
  if (form.signal === 'SIGSTOP') {
    await sleep(Math.max(0, stoppedAt + form.stoppedMs - performance.now()));
    process.signal('SIGCONT');
    await until(async () => foundLost() >= leases, 15_000);
  }
  const stored = await sql(
    `select m.id::text, m.conversation_id::text "conversationId", m.delivery_state state,
       (select count(*)::int from event e where e.kind = 'message.updated' and e.payload->>'messageId' = m.id::text) changes,
       (select count(*)::int from delivery_attempt d where d.message_id = m.id) attempts
     from message m where m.sender_type = 'USER' order by m.conversation_id, m.sequence`,
  );
  const byMessage = [
    ...Map.groupBy(
      routes.flatMap(({ calls }) => calls),
      (call) => call.messageId,
    ).values(),
  ];
  const isFirst = (calls: ActionCall[]) => calls[0]!.body.payload.message.content.text === '1';
  const isSame = ([first, ...more]: ActionCall[]) =>
    more.every((call) => call.headers['webhook-id'] === first!.headers['webhook-id'] && call.raw.equals(first!.raw));
  const result: TakeOverResult = {
    leases,
    calls: {
      first: byMessage.filter(isFirst).map(({ length }) => length),
      later: byMessage.filter((calls) => !isFirst(calls)).map(({ length }) => length),
    },
    isSameCall: byMessage.every(isSame),
    outOfOrder: outOfOrder(routes, stored),
    wrong: stored.filter(({ state, changes, attempts }) => state !== 'DELIVERED' || changes !== 1 || attempts !== 1),
    foundLost: foundLost(),
  };

  const again = byMessage.flatMap(([, second]) => (second ? [second.at - endedAt] : [])).sort((a, b) => a - b);
  const count = (isSo: (row: { state: string; changes: number }) => boolean) => stored.filter(isSo).length;
  const figures = {
    lost: sent - count(({ state }) => state === 'DELIVERED'),
    dup: count(({ changes }) => changes > 1),
    phantom: stored.length - sent,
    stuck: count(({ state }) => state === 'PENDING'),
    p99: percentile(again, 0.99),
    rss: process.peakRssMb,
  };
  tellFigures(form.name, figures, `leases=${leases} repeated=${again.length} found-lost=${result.foundLost}`);
  await client.end();
  await Promise.all([second.stop(), process.kill(), front.stop()]);
  await database.drop();
  return result;
}

/** What every run must come to: only the calls in flight repeat, and each message changes its state once. */
export const takenOver = ({ signal, conversations, messages }: TakeOverForm): TakeOverResult => ({
  leases: conversations,
  calls: { first: Array(conversations).fill(2), later: Array(conversations * (messages - 1)).fill(1) },
  isSameCall: true,
  outOfOrder: [],
  wrong: [],
  foundLost: signal === 'SIGSTOP' ? conversations : 0,
});
