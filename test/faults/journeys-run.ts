import pg from 'pg';
import { startApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { flowsOf } from '../support/flows.ts';
import { until } from '../support/until.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess, testSecrets } from './gateway-process.ts';

export interface JourneyFaultForm {
  name: string;
  journeys: number;
  /** Events of each journey; each makes it say something. */
  rounds: number;
  /** What happens to the worker: killed and started again so often, or stopped until another one has done the work. */
  fault: { signal: 'SIGKILL'; times: number } | { signal: 'SIGSTOP' };
}

export interface JourneyFaultResult {
  /** Journeys that did not come to their end with every event taken once. */
  stuck: unknown[];
  /** Conversations in which something else was said than once each, in order. */
  wrong: unknown[];
  /** Lanes that are left. */
  lanes: number;
}

/**
 * F1 and F16 over journeys: the worker is killed again and again, or stopped with lanes in its hands, while journeys are told
 * events. Each says what it was told, so what was lost, done twice or out of order stands in its conversation.
 */
export async function faultOverJourneys(form: JourneyFaultForm): Promise<JourneyFaultResult> {
  const database = await createTestDatabase();
  const front = await startApp({ database: { url: database.url }, settings: { ...testSecrets, role: 'gateway' } });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const flows = await flowsOf(front);
  const flowId = await flows.published([
    {
      id: 'say',
      type: 'message',
      to: { conversation: true },
      content: 'n {{ journey.vars.n | default: 0 }}',
      next: 'wait',
    },
    { id: 'wait', type: 'wait', for: 'event', name: 'go', next: 'count' },
    { id: 'count', type: 'set', vars: { n: 'event.n' }, next: 'more' },
    { id: 'more', type: 'branch', cases: [{ when: `journey.vars.n < ${form.rounds}`, next: 'say' }], otherwise: 'end' },
    { id: 'end', type: 'end', status: 'COMPLETED' },
  ]);
  const source = await front.make.source();
  const channel = await front.make.channel(source);
  const made: { journey: string; conversation: string }[] = [];
  for (let count = 0; count < form.journeys; count += 1) {
    const conversation = await front.make.conversation({ source, channel });
    const { legacyId } = await flows.start(flowId, { conversationId: conversation.id });
    made.push({ journey: legacyId, conversation: conversation.id });
  }

  const worker = await GatewayProcess.start({ databaseUrl: database.url, env: { ROLE: 'worker' } });
  const endLeases = () => client.query('update lane set leased_until = now() where leased_until > now()');
  const telling = (async () => {
    for (let n = 1; n <= form.rounds; n += 1) {
      for (const { journey } of made)
        await flows.deliver({ journeyId: journey, name: 'go', payload: { n }, dedupeKey: `${n}` });
    }
  })();
  const moved = async () =>
    (await client.query(`select count(*)::int n from journey_event where consumed_at is not null`)).rows[0].n as number;
  const all = form.journeys * form.rounds;
  const isDone = async () =>
    (await client.query(`select 1 from journey where status = 'ACTIVE' limit 1`)).rowCount === 0;
  let second: Awaited<ReturnType<typeof startApp>> | undefined;
  if (form.fault.signal === 'SIGKILL') {
    const { times } = form.fault;
    for (let kill = 1; kill <= times; kill += 1) {
      await until(async () => (await moved()) >= (all * kill) / (times + 1) || (await isDone()), 60_000);
      await worker.kill();
      await endLeases();
      await worker.start();
    }
    await telling;
  } else {
    await until(async () => (await moved()) >= all / 3, 60_000);
    worker.signal('SIGSTOP');
    await telling;
    await endLeases();
    second = await startApp({ database: { url: database.url }, settings: { ...testSecrets, role: 'worker' } });
  }
  await until(isDone, 60_000).catch(() => undefined);
  if (form.fault.signal === 'SIGSTOP') {
    worker.signal('SIGCONT');
    // It finds its lanes in other hands, and is at work again.
    await until(async () => (await worker.readiness()) === 200, 15_000);
  }
  await until(
    async () => (await client.query(`select 1 from lane where kind = 'journey'`)).rowCount === 0,
    10_000,
  ).catch(() => undefined);

  const { rows: stuck } = await client.query(
    `select j.id, j.status, j.step_id, j.reason, j.vars,
       (select count(*)::int from journey_event e where e.journey_id = j.id and consumed_at is not null) taken
     from journey j where j.status <> 'COMPLETED' or j.next_event <> $1
       or (select count(*) from journey_event e where e.journey_id = j.id and consumed_at is not null) <> $2`,
    [form.rounds + 1, form.rounds],
  );
  const said = Array.from({ length: form.rounds }, (_, n) => `n ${n}`);
  const { rows: wrong } = await client.query(
    `select conversation_id, array_agg(content ->> 'text' order by sequence) said from message where sender_type = 'BOT'
     group by conversation_id having array_agg(content ->> 'text' order by sequence) <> $1::text[]`,
    [said],
  );
  const { rows: silent } = await client.query(
    `select c from unnest($1::uuid[]) c where not exists (select 1 from message where conversation_id = c and sender_type = 'BOT')`,
    [made.map(({ conversation }) => conversation)],
  );
  const lanes = (await client.query(`select 1 from lane where kind = 'journey'`)).rowCount ?? 0;
  const result = { stuck, wrong: [...wrong, ...silent], lanes };
  const none = { lost: 'n/a', phantom: 'n/a', p99: 'n/a' } as const;
  const figures = { ...none, dup: result.wrong.length, stuck: stuck.length, rss: worker.peakRssMb };
  tellFigures(form.name, figures, `journeys=${form.journeys} events=${all}`);
  await worker.kill();
  await second?.stop();
  await client.end();
  await front.stop();
  await database.drop();
  return result;
}
