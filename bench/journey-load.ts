import { setTimeout as sleep } from 'node:timers/promises';
import { type Contestant, type Credentials, call } from './contestants.ts';
import type { LoadResult } from './driver/protocol.ts';
import type { OnPhase } from './driver-client.ts';
import { withConnection } from './postgres.ts';

/** Lanes of one flow are worked eight at a time, so one flow alone would measure that. */
const flowCount = 8;
/** Journeys that are made for each second of a slice: more than can be worked. */
const perSecond = 1_000;

/** Ten steps: four expressions that write, four that decide, a wait for an event that is there, and an end. */
const steps = [
  { id: 's1', type: 'set', vars: { n: 'session.start.n + 1' }, next: 'b1' },
  { id: 'b1', type: 'branch', cases: [{ when: 'journey.vars.n < 0', next: 'end' }], otherwise: 's2' },
  { id: 's2', type: 'set', vars: { n: 'journey.vars.n * 2' }, next: 'b2' },
  { id: 'b2', type: 'branch', cases: [{ when: 'journey.vars.n < 0', next: 'end' }], otherwise: 'wait' },
  { id: 'wait', type: 'wait', for: 'event', name: 'go', where: 'event.n > 0', next: 's3' },
  { id: 's3', type: 'set', vars: { n: 'journey.vars.n + event.n' }, next: 'b3' },
  { id: 'b3', type: 'branch', cases: [{ when: 'journey.vars.n < 0', next: 'end' }], otherwise: 's4' },
  { id: 's4', type: 'set', vars: { text: '"n is " & journey.vars.n' }, next: 'b4' },
  { id: 'b4', type: 'branch', cases: [{ when: 'journey.vars.n < 0', next: 'end' }], otherwise: 'end' },
  { id: 'end', type: 'end', status: 'COMPLETED', reason: '{{ journey.vars.text }}' },
];
/** What the expressions above come to for a journey that was started with 1 and told 3. */
const rightReason = 'n is 7';

/**
 * Journeys of ten steps, as starts and events would have left them, worked by the gateway's own worker. Counts the steps of
 * those that ended within the time, and looks that each came to the right end.
 */
export async function prepareJourneys(gateway: Contestant, databaseUrl: string, { userToken }: Credentials) {
  const flows: string[] = [];
  for (let count = 0; count < flowCount; count += 1) {
    const flowId = await ask<string>(gateway, userToken, 'createFlow', 'flow { legacyId }', {
      name: `bench ${count}`,
      definition: { start: 's1', steps },
    });
    await ask(gateway, userToken, 'publishFlow', 'flow { legacyId }', { flowId });
    flows.push(flowId);
  }
  return ({ seconds, onPhase }: { seconds: number; onPhase: OnPhase }): Promise<LoadResult> =>
    withConnection(databaseUrl, async (client) => {
      await client.query('delete from journey');
      await client.query(
        `with made as (
           insert into journey (id, flow_id, flow_number, step_id, start, link_hash, next_event)
           select uuidv7(), ($1::uuid[])[1 + n % $2], 1, 's1', '{"n": 1}', gen_random_uuid()::text, 2
           from generate_series(1, $3) n returning id)
         insert into journey_event (journey_id, seq, name, payload) select id, 1, 'go', '{"n": 3}' from made`,
        [flows, flowCount, perSecond * seconds],
      );
      await client.query('analyze journey, journey_event');
      onPhase('begin');
      await client.query(
        `insert into lane (kind, id, lane_group, due_at) select 'journey', id, flow_id, now() from journey`,
      );
      await sleep(seconds * 1_000);
      const ended = `select count(*)::int ended, (count(*) filter (where reason is distinct from $1))::int wrong
        from journey where status <> 'ACTIVE'`;
      const { rows } = await client.query<{ ended: number; wrong: number }>(ended, [rightReason]);
      await client.query(`delete from lane where kind = 'journey' and leased_until is null`);
      onPhase('end');
      const { ended: journeys, wrong } = rows[0]!;
      const units = journeys * steps.length;
      const examples = wrong > 0 ? [`${wrong} of ${journeys} journeys did not come to "${rightReason}"`] : [];
      if (journeys === perSecond * seconds) examples.push('all journeys ended: more of them are needed to measure');
      const nothing = { p50Ms: Number.NaN, p99Ms: Number.NaN, acknowledged: 0 };
      return { units, worked: Math.max(units, 1), seconds, ...nothing, faults: examples.length, examples };
    });
}

async function ask<T>({ port }: Contestant, token: string, field: string, shown: string, input: object): Promise<T> {
  const type = `${field[0]!.toUpperCase()}${field.slice(1)}Input`.replace('PublishFlow', 'Flow');
  const query = `mutation ($input: ${type}!) { ${field}(input: $input) { ${shown} } }`;
  const { data, errors } = await call<{ data: Record<string, { flow: { legacyId: T } }>; errors?: unknown }>(
    port,
    'graphql',
    { query, variables: { input } },
    { token },
  );
  if (errors) throw new Error(`${field}: ${JSON.stringify(errors)}`);
  return data[field]!.flow.legacyId;
}
