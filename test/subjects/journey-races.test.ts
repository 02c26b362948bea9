import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { z } from 'zod';
import { registerStepKind } from '../../src/domain/automation/flows/steps.service.ts';
import { advanceJourney } from '../../src/domain/automation/journeys/journey.advance.service.ts';
import { systemCtx } from '../../src/domain/context.ts';
import { type Lease, LeaseLost } from '../../src/domain/jobs.ts';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { flowsOf } from '../support/flows.ts';

/** What happens while a slice is computed: its row has been read, and nothing is written yet. */
let meanwhile: () => Promise<unknown> = async () => undefined;
registerStepKind({
  type: 'test-meanwhile',
  description: 'Lets a test act between the read and the write of a slice.',
  fields: z.strictObject({}),
  hasNext: true,
  scripts: () => [],
  targets: () => [],
  async run() {
    await meanwhile();
    return { go: 'next', vars: { ran: true } };
  },
});

describe('what happens to a journey while its steps are computed', () => {
  let app: App;
  let flows: Awaited<ReturnType<typeof flowsOf>>;
  let admin: string;
  beforeAll(async () => {
    app = await startApp();
    flows = await flowsOf(app);
    admin = (await app.make.admin()).token;
  });

  const pause = (next?: string) => ({ id: 'pause', type: 'test-meanwhile', ...(next && { next }) });
  const codeOf = async (document: string, input: object): Promise<string | undefined> => {
    const { body } = await app.graphql(document, { input }, { token: admin });
    return body.errors?.[0].extensions.code;
  };
  const deliverTo =
    'mutation ($input: DeliverJourneyEventInput!) { deliverJourneyEvent(input: $input) { journey { id } } }';
  const row = async ({ legacyId }: Json): Promise<Json> =>
    (
      await rows(
        app.core.em.fork(),
        sql`select status, step_id, vars, version from journey where id = ${legacyId}::uuid`,
      )
    )[0];

  it('is heard: a message that comes then is what it waits for next', async () => {
    const conversation = await app.make.conversation();
    const flowId = await flows.published([
      { id: 'first', type: 'wait', for: 'event', name: 'go', next: 'pause' },
      pause('second'),
      { id: 'second', type: 'wait', for: 'event', name: 'message.received', next: 'end' },
      { id: 'end', type: 'end', status: 'COMPLETED', reason: '{{ event.text }}' },
    ]);
    const journey = await flows.start(flowId, { conversationId: conversation.id });
    await flows.waiting(journey);
    meanwhile = () =>
      app.make.webhook(conversation.source, {
        messages: [app.make.webhookMessage({ ...conversation.place, content: { text: 'meanwhile' } })],
      });
    await flows.deliver({ journeyId: journey.id, name: 'go' });
    expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED', reason: 'meanwhile' });
  });

  /** A journey whose lane nobody works but the test. */
  async function quiet() {
    const flowId = await flows.published([
      { id: 'first', type: 'wait', for: 'event', name: 'go', next: 'pause' },
      pause(),
    ]);
    const journey = await flows.start(flowId);
    await flows.waiting(journey);
    // An event without a wake-up: only who asks by hand finds it.
    await rows(
      app.core.em.fork(),
      sql`with told as (update journey set next_event = 2 where id = ${journey.legacyId}::uuid)
          insert into journey_event (journey_id, seq, name, payload) values (${journey.legacyId}::uuid, 1, 'go', '1')`,
    );
    return journey;
  }

  const leaseOf = ({ legacyId }: Json, check: () => Promise<void>): Lease =>
    ({
      lane: { kind: 'journey', id: legacyId, version: 1n, fence: 1n, attempts: 1 },
      attempts: 1,
      isHeld: async () => true,
      check,
    }) as unknown as Lease;
  const ctx = () => systemCtx(app.core, 'test');

  it('undoes the slice when the lease is lost before the commit', async () => {
    const journey = await quiet();
    meanwhile = async () => undefined;
    const before = await row(journey);
    const lost = leaseOf(journey, async () => {
      throw new LeaseLost({ kind: 'journey', id: journey.legacyId, version: 1n, fence: 1n, attempts: 1 });
    });
    await expect(advanceJourney.work(ctx(), lost)).rejects.toThrow(LeaseLost);
    expect(await row(journey)).toEqual(before);
  });

  it('voids the slice when the row has moved on: it is computed anew', async () => {
    const journey = await quiet();
    let times = 0;
    meanwhile = async () => {
      times += 1;
      if (times === 1)
        await rows(
          app.core.em.fork(),
          sql`update journey set version = version + 1, vars = '{"other": 1}' where id = ${journey.legacyId}::uuid`,
        );
    };
    expect(
      await advanceJourney.work(
        ctx(),
        leaseOf(journey, async () => undefined),
      ),
    ).toEqual({ next: 'finish' });
    expect(times).toBe(2);
    expect(await row(journey)).toMatchObject({ status: 'COMPLETED', vars: { other: 1, ran: true } });
  });

  it('ends it though its reason holds what the database refuses', async () => {
    for (const steps of [
      [{ id: 'e', type: 'end', status: 'COMPLETED', reason: 'a{{ "%00" | url_decode }}b' }],
      [{ id: 's', type: 'set', vars: { x: '$error("a\\u0000b")' } }],
    ]) {
      const { status, reason } = await flows.run(steps);
      expect(['COMPLETED', 'FAILED']).toContain(status);
      expect(reason).toContain('ab');
    }
  });

  it('takes the same event again for the same one, whatever became of the journey', async () => {
    const flowId = await flows.published([{ id: 'w', type: 'wait', for: 'event', name: 'paid' }]);
    const identifiers = [{ type: 'TEXT', value: 'order 1' }];
    const [older, newer] = [await flows.start(flowId, { identifiers }), await flows.start(flowId, { identifiers })];
    const event = { flowId, identifier: identifiers[0], name: 'paid', dedupeKey: 'k1' };
    expect((await flows.deliver(event)).id).toBe(newer.id);
    await flows.ended(newer);
    expect((await flows.deliver(event)).id).toBe(newer.id);
    expect((await flows.deliver({ journeyId: newer.id, name: 'paid', dedupeKey: 'k1' })).id).toBe(newer.id);
    expect((await flows.now(older)).status).toBe('ACTIVE');
  });

  it('takes its own event beside a pile of others, and refuses a pile of its own', async () => {
    const flowId = await flows.published([
      { id: 'w', type: 'wait', for: 'event', name: 'paid', where: 'event.ok', next: 'e' },
      { id: 'e', type: 'end', status: 'COMPLETED' },
    ]);
    const journey = await flows.start(flowId);
    await flows.waiting(journey);
    const pile = (name: string, from: number) =>
      rows(
        app.core.em.fork(),
        sql`with told as (update journey set next_event = ${from + 1_000}::int where id = ${journey.legacyId}::uuid)
            insert into journey_event (journey_id, seq, name, payload)
            select ${journey.legacyId}::uuid, n, ${name}, '{}' from generate_series(${from}::int, ${from + 999}::int) n`,
      );
    await pile('message.received', 1);
    await flows.deliver({ journeyId: journey.id, name: 'other' });
    await pile('paid', 2_000);
    expect(await codeOf(deliverTo, { journeyId: journey.id, name: 'paid' })).toBe('CONFLICT');
    await flows.abort(journey.id);
    const left = await rows(
      app.core.em.fork(),
      sql`select 1 from journey_event where journey_id = ${journey.legacyId}::uuid and consumed_at is null`,
    );
    expect(left).toEqual([]);
  });

  it('starts or is deleted, when both come at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const flowId = await flows.published([{ id: 'w', type: 'wait', for: 'event', name: 'x' }]);
      const codes = await Promise.all([
        codeOf('mutation ($input: StartJourneyInput!) { startJourney(input: $input) { journey { id } } }', { flowId }),
        codeOf('mutation ($input: FlowInput!) { deleteFlow(input: $input) { deletedId } }', { flowId }),
      ]);
      expect([
        [undefined, 'CONFLICT'],
        ['NOT_FOUND', undefined],
      ]).toContainEqual(codes);
    }
  });
});
