import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { flowsOf, journeyFields, passTime } from '../support/flows.ts';
import { until } from '../support/until.ts';

type Flows = Awaited<ReturnType<typeof flowsOf>>;
const day = 86_400;

describe('a journey', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let flows: Flows;
  let admin: string;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { outboundAllow: [endpoint.hostPort] } });
    flows = await flowsOf(app);
    admin = (await app.make.admin()).token;
  });

  const say = (id: string, content: unknown, next?: string) => ({
    id,
    type: 'message',
    to: { conversation: true },
    content,
    ...(next && { next }),
  });
  const codeOf = async (document: string, input: object): Promise<string | undefined> => {
    const { body } = await app.graphql(document, { input }, { token: admin });
    return body.errors?.[0].extensions.code;
  };
  const startOf = 'mutation ($input: StartJourneyInput!) { startJourney(input: $input) { journey { id } } }';
  const deliverTo =
    'mutation ($input: DeliverJourneyEventInput!) { deliverJourneyEvent(input: $input) { journey { id } } }';

  /** A conversation whose source takes what is sent; the texts that came there. */
  async function reachable(displayName = 'Ada') {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    const conversation = await app.make.conversation({ source, displayName });
    const texts = () => route.calls.map(({ body }) => body.payload.message.content.text as string);
    const answer = (text: string) =>
      app.make.webhook(source, {
        messages: [app.make.webhookMessage({ ...conversation.place, content: { text }, sent_at: Date.now() })],
      });
    return { route, source, conversation, texts, answer };
  }

  describe('runs its steps', () => {
    it('sets variables together, decides, and ends', async () => {
      const journey = await flows.run(
        [
          { id: 'first', type: 'set', vars: { n: 'session.start.n', word: '"a"' }, next: 'second' },
          { id: 'second', type: 'set', vars: { n: 'journey.vars.n + 1', was: 'journey.vars.n' }, next: 'third' },
          {
            id: 'third',
            type: 'branch',
            cases: [
              { when: 'journey.vars.n > 10', next: 'large' },
              { when: 'journey.vars.n = 4', next: 'four' },
              { when: '$error("never asked for")', next: 'large' },
            ],
          },
          { id: 'large', type: 'end', status: 'FAILED' },
          {
            id: 'four',
            type: 'end',
            status: 'COMPLETED',
            reason: 'it was {{ journey.vars.n }}, {{ journey.vars.word }}',
          },
        ],
        { start: { n: 3 } },
      );
      expect(journey).toMatchObject({
        status: 'COMPLETED',
        reason: 'it was 4, a',
        stepId: 'four',
        vars: { n: 4, was: 3, word: 'a' },
        flowNumber: 1,
      });
      expect(journey.endedAt).not.toBeNull();
    });

    it('completes where no case is true, and where a step has no next', async () => {
      const none = [
        { id: 'b', type: 'branch', cases: [{ when: 'false', next: 'never' }] },
        { id: 'never', type: 'end', status: 'FAILED' },
      ];
      expect(await flows.run(none)).toMatchObject({ status: 'COMPLETED', stepId: 'b' });
      expect(await flows.run([{ id: 's', type: 'set', vars: { a: '1' } }])).toMatchObject({
        status: 'COMPLETED',
        vars: { a: 1 },
      });
    });

    it('fails where an expression does, naming step, field and place, and writes nothing of that step', async () => {
      const journey = await flows.run([
        { id: 'good', type: 'set', vars: { a: '1' }, next: 'bad' },
        { id: 'bad', type: 'set', vars: { b: '2', c: '1 + "x"' } },
      ]);
      expect(journey).toMatchObject({ status: 'FAILED', stepId: 'bad', vars: { a: 1 } });
      expect(journey.reason).toMatch(/^step bad: vars\.c at position \d+: /);
    });

    it('fails after 1,000 steps without a wait, however the loop is made', async () => {
      const loop = await flows.run([
        { id: 'count', type: 'set', vars: { n: '(journey.vars.n ? journey.vars.n : 0) + 1' }, next: 'again' },
        { id: 'again', type: 'branch', cases: [{ when: 'true', next: 'count' }] },
      ]);
      expect(loop).toMatchObject({ status: 'FAILED', vars: { n: 500 } });
      expect(loop.reason).toContain('1000 steps');
      const pastInstants = await flows.run([
        { id: 'w', type: 'wait', for: 'until', until: '0', next: 'again' },
        { id: 'again', type: 'branch', cases: [{ when: 'true', next: 'w' }] },
      ]);
      expect(pastInstants).toMatchObject({ status: 'FAILED' });
    }, 30_000);

    it('fails where its variables outgrow 64 KiB', async () => {
      const journey = await flows.run([
        { id: 'grow', type: 'set', vars: { a: '$pad("x", 40000)' }, next: 'more' },
        { id: 'more', type: 'set', vars: { b: '$pad("x", 40000)' } },
      ]);
      expect(journey).toMatchObject({ status: 'FAILED', stepId: 'more' });
      expect(journey.reason).toContain('65536');
    });

    it('keeps the version with which it began', async () => {
      const flowId = await flows.published([
        { id: 'w', type: 'wait', for: 'event', name: 'go', next: 'old' },
        { id: 'old', type: 'end', status: 'COMPLETED', reason: 'old' },
      ]);
      const journey = await flows.start(flowId);
      await flows.waiting(journey);
      await flows.ask('mutation ($input: UpdateFlowInput!) { updateFlow(input: $input) { flow { id } } }', {
        input: {
          flowId,
          definition: { start: 'e', steps: [{ id: 'e', type: 'end', status: 'FAILED', reason: 'new' }] },
        },
      });
      await flows.publish(flowId);
      await flows.deliver({ journeyId: journey.id, name: 'go' });
      expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED', reason: 'old', flowNumber: 1 });
      expect(await flows.ended(await flows.start(flowId))).toMatchObject({
        status: 'FAILED',
        reason: 'new',
        flowNumber: 2,
      });
    });
  });

  describe('sends messages', () => {
    it('to the conversation that it is bound to, in order, as messages of a bot', async () => {
      const { conversation, texts } = await reachable('Ada Lovelace');
      const flowId = await flows.published([
        say('one', 'Hello {{ contact.firstName }}, Tom & <b>', 'two'),
        say('two', { text: '{{ session.start.n }} items' }),
      ]);
      const journey = await flows.start(flowId, { conversationId: conversation.id, start: { n: 3 } });
      expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED' });
      await until(async () => texts().length === 2);
      expect(texts()).toEqual(['Hello Ada, Tom & <b>', '3 items']);
      const { messages } = await flows.ask(
        'query ($id: ID!) { conversation(id: $id) { messages(last: 2) { nodes { senderType fromContact } } } }',
        { id: conversation.id },
      );
      expect(messages.nodes).toEqual([
        { senderType: 'BOT', fromContact: false },
        { senderType: 'BOT', fromContact: false },
      ]);
    });

    it('to a contact in a channel, and is bound to their conversation from then on', async () => {
      const { conversation, channelId, texts, answer, contactId } = await (async () => {
        const made = await reachable();
        const { contact } = await flows.ask('query ($id: ID!) { conversation(id: $id) { contact { legacyId } } }', {
          id: made.conversation.id,
        });
        return { ...made, channelId: made.conversation.channel.id, contactId: contact.legacyId as string };
      })();
      const flowId = await flows.published([
        {
          id: 'ask',
          type: 'message',
          to: { contact: 'session.start.who', channel: channelId },
          content: 'And?',
          next: 'w',
        },
        { id: 'w', type: 'wait', for: 'event', name: 'message.received', next: 'e' },
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event.text }}' },
      ]);
      const journey = await flows.start(flowId, { start: { who: contactId } });
      expect((await flows.waiting(journey)).conversation.legacyId).toBe(conversation.id);
      await until(async () => texts().length === 1);
      await answer('Yes');
      expect(await flows.ended(journey)).toMatchObject({ reason: 'Yes', contact: { legacyId: contactId } });
    });

    it('to somebody who has no conversation in that channel yet: it is begun', async () => {
      const { source, conversation } = await reachable();
      const other = await app.make.channel(source);
      const { contact } = await flows.ask('query ($id: ID!) { conversation(id: $id) { contact { legacyId } } }', {
        id: conversation.id,
      });
      const journey = await flows.run([
        { id: 'm', type: 'message', to: { contact: `"${contact.legacyId}"`, channel: other.id }, content: 'Hi' },
      ]);
      expect(journey).toMatchObject({ status: 'COMPLETED', contact });
      const begun = await flows.ask(
        'query ($id: ID!) { conversation(id: $id) { channel { legacyId } contact { legacyId } } }',
        {
          id: journey.conversation.legacyId,
        },
      );
      expect(begun).toEqual({ channel: { legacyId: other.id }, contact });
    });

    it('fails where nobody can be written to, and sends nothing', async () => {
      expect((await flows.run([say('m', 'Hi')])).reason).toMatch(/^step m: to: no conversation/);
      const { source, conversation, texts } = await reachable();
      const disconnected = await app.rest(
        'sources.channels.disconnect',
        { channel_id: conversation.channel.id },
        { token: source.token },
      );
      expect(disconnected.status).toBeLessThan(300);
      const journey = await flows.run(
        [
          { id: 's', type: 'set', vars: { a: '1' }, next: 'm' },
          say('m', 'Hi', 'after'),
          { id: 'after', type: 'end', status: 'COMPLETED' },
        ],
        { conversationId: conversation.id },
      );
      expect(journey).toMatchObject({ status: 'FAILED', stepId: 'm', vars: { a: 1 } });
      expect(journey.reason).toMatch(/^step m: .*disconnected/);
      expect(texts()).toEqual([]);
      const stranger = await flows.run([
        {
          id: 'm',
          type: 'message',
          to: { contact: '"019b0000-0000-7000-8000-000000000000"', channel: conversation.channel.id },
          content: 'x',
        },
      ]);
      expect(stranger.reason).toMatch(/^step m: no contact/);
    });

    it('never evaluates what a contact wrote', async () => {
      const { conversation, texts, answer } = await reachable();
      const flowId = await flows.published([
        { id: 'w', type: 'wait', for: 'event', name: 'message.received', next: 'm' },
        say('m', 'You said {{ event.text }}'),
      ]);
      const journey = await flows.start(flowId, { conversationId: conversation.id });
      await flows.waiting(journey);
      await answer('{{ session.start }}{% for a in (1..9) %}x{% endfor %}');
      await flows.ended(journey);
      await until(async () => texts().length === 1);
      expect(texts()).toEqual(['You said {{ session.start }}{% for a in (1..9) %}x{% endfor %}']);
    });
  });

  describe('waits for events', () => {
    const waitFor = (id: string, name: string, more: object = {}) => ({
      id,
      type: 'wait',
      for: 'event',
      name,
      ...more,
    });

    it('takes the first of that name for which `where` is true; its payload is `event` from then on', async () => {
      const flowId = await flows.published([
        waitFor('w', 'paid', { where: 'event.amount > 10', next: 'e' }),
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event.amount }}' },
      ]);
      const journey = await flows.start(flowId);
      expect(await flows.waiting(journey)).toMatchObject({ waitingFor: 'paid', stepId: 'w', wakeAt: null });
      for (const [name, amount] of [
        ['paid', 5],
        ['other', 50],
        ['paid', 20],
        ['paid', 30],
      ] as const) {
        await flows.deliver({ journeyId: journey.id, name, payload: { amount } }).catch(() => undefined);
      }
      expect(await flows.ended(journey)).toMatchObject({ reason: '20' });
    });

    it('hears what came since its wait before ended, each once, and nothing older', async () => {
      const flowId = await flows.published([
        waitFor('first', 'a', { next: 'second' }),
        waitFor('second', 'b', { next: 'third' }),
        waitFor('third', 'a', { next: 'e' }),
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event }}' },
      ]);
      const journey = await flows.start(flowId);
      // Before its first wait, and too old for its second one: b stands before the a that ends the first.
      await flows.deliver({ journeyId: journey.id, name: 'b', payload: 'old' });
      await flows.deliver({ journeyId: journey.id, name: 'a', payload: 'one' });
      expect(await flows.waiting(journey, 'second')).toMatchObject({ waitingFor: 'b' });
      await flows.deliver({ journeyId: journey.id, name: 'a', payload: 'between' });
      await flows.deliver({ journeyId: journey.id, name: 'b', payload: 'two' });
      const third = await flows.waiting(journey, 'third');
      expect(third.events.map(({ payload, consumedAt }: Json) => [payload, consumedAt !== null])).toEqual([
        ['old', true],
        ['one', true],
        ['between', true],
        ['two', true],
      ]);
      await flows.deliver({ journeyId: journey.id, name: 'a', payload: 'three' });
      expect(await flows.ended(journey)).toMatchObject({ reason: 'three' });
    });

    it('does not lose an answer that comes before the wait begins', async () => {
      const { conversation, answer } = await reachable();
      const flowId = await flows.published([
        say('ask', 'And?', 'w'),
        waitFor('w', 'message.received', { next: 'e' }),
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event.text }}' },
      ]);
      const journey = await flows.start(flowId, { conversationId: conversation.id });
      await answer('quick');
      expect(await flows.ended(journey)).toMatchObject({ reason: 'quick' });
    });

    it('tells each message of its contact once, in their order, and those of no other conversation', async () => {
      const { source, conversation } = await reachable();
      const other = await app.make.conversation({ source });
      const flowId = await flows.published([waitFor('w', 'never')]);
      const journey = await flows.start(flowId, { conversationId: conversation.id });
      await flows.waiting(journey);
      const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
      const batch = [
        ...texts.map((text) => app.make.webhookMessage({ ...conversation.place, content: { text } })),
        app.make.webhookMessage({ ...conversation.place, content: { text: 'ours' }, from_contact: false }),
        app.make.webhookMessage({ ...other.place, content: { text: 'of somebody else' } }),
      ];
      await app.make.webhook(source, { messages: batch });
      await app.make.webhook(source, { messages: batch });
      const { events } = await flows.now(journey);
      expect(events.map(({ name, payload }: Json) => [name, payload.text])).toEqual(
        texts.map((text) => ['message.received', text]),
      );
    });

    it('goes on after its timeout, at onTimeout or at next without an event', async () => {
      const timed = async (more: object) => {
        const flowId = await flows.published([
          waitFor('w', 'go', { timeout: 'P2D', next: 'next', ...more }),
          { id: 'next', type: 'end', status: 'COMPLETED', reason: '{% if event %}event{% else %}none{% endif %}' },
          ...('onTimeout' in more ? [{ id: 'late', type: 'end', status: 'FAILED', reason: 'late' }] : []),
        ]);
        const journey = await flows.start(flowId);
        await flows.waiting(journey);
        await passTime(app, 2 * day - 60);
        expect(await flows.now(journey)).toMatchObject({ status: 'ACTIVE', stepId: 'w' });
        await passTime(app, 60);
        return flows.ended(journey);
      };
      expect(await timed({ onTimeout: 'late' })).toMatchObject({ status: 'FAILED', reason: 'late' });
      expect(await timed({})).toMatchObject({ status: 'COMPLETED', reason: 'none' });
    });

    it('waits for a time and until an instant', async () => {
      const flowId = await flows.published([
        { id: 'd', type: 'wait', for: 'duration', duration: 'PT1H', next: 'u' },
        { id: 'u', type: 'wait', for: 'until', until: '$millis() + 3600000', next: 'e' },
        { id: 'e', type: 'end', status: 'COMPLETED' },
      ]);
      const journey = await flows.start(flowId);
      await flows.waiting(journey, 'd');
      await passTime(app, 3_600);
      const second = await flows.waiting(journey, 'u');
      expect(Date.parse(second.wakeAt) - Date.now()).toBeGreaterThan(3_500_000);
      await passTime(app, 3_600);
      expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED' });
    });

    it('looks at more events than it reads at once', async () => {
      const flowId = await flows.published([
        waitFor('w', 'go', { where: 'event = 450', next: 'e' }),
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event }}' },
      ]);
      const journey = await flows.start(flowId);
      await flows.waiting(journey);
      await rows(
        app.core.em.fork(),
        sql`with told as (update journey set next_event = 501 where id = ${journey.legacyId}::uuid)
            insert into journey_event (journey_id, seq, name, payload)
            select ${journey.legacyId}::uuid, n, 'go', to_jsonb(n) from generate_series(1, 499) n`,
      );
      await flows.deliver({ journeyId: journey.id, name: 'go', payload: 500 });
      expect(await flows.ended(journey)).toMatchObject({ reason: '450' });
    });
  });

  describe('is told events', () => {
    it('by what it is found by: the newest active one of its flow', async () => {
      const flowId = await flows.published([
        { id: 'w', type: 'wait', for: 'event', name: 'go', next: 'e' },
        { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event }}' },
      ]);
      const identifiers = [
        { type: 'TEXT', value: 'order-1' },
        { type: 'PHONE', value: '+49 (30) 901820' },
      ];
      const older = await flows.start(flowId, { identifiers });
      const newer = await flows.start(flowId, { identifiers });
      expect(newer.identifiers).toEqual([
        { type: 'PHONE', value: '+4930901820' },
        { type: 'TEXT', value: 'order-1' },
      ]);
      await flows.deliver({
        flowId,
        identifier: { type: 'PHONE', value: '+49 30 90 18 20' },
        name: 'go',
        payload: 'phone',
      });
      expect(await flows.ended(newer)).toMatchObject({ reason: 'phone' });
      await flows.deliver({ flowId, identifier: { type: 'TEXT', value: 'order-1' }, name: 'go', payload: 'text' });
      expect(await flows.ended(older)).toMatchObject({ reason: 'text' });
      expect(await codeOf(deliverTo, { flowId, identifier: { type: 'TEXT', value: 'order-1' }, name: 'go' })).toBe(
        'NOT_FOUND',
      );
      const third = await flows.start(flowId);
      const other = await flows.published([{ id: 'w', type: 'wait', for: 'event', name: 'go' }]);
      const byId = { type: 'JOURNEY_ID', value: third.legacyId };
      expect(await codeOf(deliverTo, { flowId: other, identifier: byId, name: 'go' })).toBe('NOT_FOUND');
      await flows.deliver({ flowId, identifier: byId, name: 'go', payload: 'id' });
      expect(await flows.ended(third)).toMatchObject({ reason: 'id' });
    });

    it('once for each dedupe key, and none when it has ended', async () => {
      const flowId = await flows.published([{ id: 'w', type: 'wait', for: 'event', name: 'never' }]);
      const journey = await flows.start(flowId);
      await Promise.all(
        Array.from({ length: 8 }, () => flows.deliver({ journeyId: journey.id, name: 'a', dedupeKey: 'same' })),
      );
      expect((await flows.now(journey)).events).toHaveLength(1);
      await flows.abort(journey.id);
      expect(await codeOf(deliverTo, { journeyId: journey.id, name: 'a' })).toBe('CONFLICT');
    });

    it('refuses what it cannot take', async () => {
      const flowId = await flows.published([{ id: 'e', type: 'end', status: 'COMPLETED' }]);
      for (const wrong of [
        { flowId, identifiers: [{ type: 'PHONE', value: '12' }] },
        { flowId, identifiers: [{ type: 'TEXT', value: '' }] },
        { flowId, identifiers: [{ type: 'JOURNEY_ID', value: '019b0000-0000-7000-8000-000000000000' }] },
        { flowId, start: [] },
        { flowId, start: { a: 'x'.repeat(70_000) } },
      ]) {
        expect(await codeOf(startOf, wrong)).toBe('BAD_USER_INPUT');
      }
      const nobody = '019b0000-0000-7000-8000-000000000000';
      for (const unknown of [{ flowId: nobody }, { flowId, contactId: nobody }, { flowId, conversationId: nobody }]) {
        expect(await codeOf(startOf, unknown)).toBe('NOT_FOUND');
      }
      expect(await codeOf(deliverTo, { name: 'a' })).toBe('BAD_USER_INPUT');
      expect(await codeOf(deliverTo, { journeyId: nobody, name: 'a' })).toBe('NOT_FOUND');
    });
  });

  describe('is aborted', () => {
    it('once, with its timers and identifiers void', async () => {
      const flowId = await flows.published([
        { id: 'w', type: 'wait', for: 'duration', duration: 'P1D', next: 'e' },
        { id: 'e', type: 'end', status: 'COMPLETED' },
      ]);
      const journey = await flows.start(flowId, { identifiers: [{ type: 'TEXT', value: 'x' }] });
      await flows.waiting(journey);
      const { changed, journey: aborted } = await flows.abort(journey.id, 'enough');
      expect([changed, aborted.status, aborted.reason, aborted.wakeAt]).toEqual([true, 'ABORTED', 'enough', null]);
      expect((await flows.abort(journey.id)).changed).toBe(false);
      await passTime(app, 2 * day);
      await until(async () => (await lanesOf(journey)) === 0);
      expect(await flows.now(journey)).toMatchObject({ status: 'ABORTED', stepId: 'w' });
      expect(await codeOf(deliverTo, { flowId, identifier: { type: 'TEXT', value: 'x' }, name: 'a' })).toBe(
        'NOT_FOUND',
      );
    });

    it('while its steps run, and stays so', async () => {
      const { conversation } = await reachable();
      const flowId = await flows.published([
        { id: 's', type: 'set', vars: { n: '(journey.vars.n ? journey.vars.n : 0) + 1' }, next: 'w' },
        { id: 'w', type: 'wait', for: 'event', name: 'go', next: 's' },
      ]);
      for (let round = 0; round < 10; round += 1) {
        const journey = await flows.start(flowId, { conversationId: conversation.id });
        const [aborted] = await Promise.all([
          flows.abort(journey.id),
          ...Array.from({ length: 3 }, () =>
            flows.deliver({ journeyId: journey.id, name: 'go' }).catch(() => undefined),
          ),
        ]);
        expect(aborted.changed).toBe(true);
        await until(async () => (await lanesOf(journey)) === 0);
        expect((await flows.now(journey)).status).toBe('ABORTED');
      }
      const [{ listeners }] = (await rows(
        app.core.em.fork(),
        sql<{ listeners: number }>`select listeners from conversation where id = ${conversation.id}::uuid`,
      )) as [{ listeners: number }];
      expect(listeners).toBe(0);
    });
  });

  async function lanesOf(journey: { legacyId: string }): Promise<number> {
    const found = await rows(
      app.core.em.fork(),
      sql`select 1 from lane where kind = 'journey' and id = ${journey.legacyId}::uuid`,
    );
    return found.length;
  }

  it('tells its progress as it moves, and again from a cursor', async () => {
    const flowId = await flows.published([
      { id: 'w', type: 'wait', for: 'event', name: 'go', next: 'e' },
      { id: 'e', type: 'end', status: 'COMPLETED' },
    ]);
    const cursor = await flows.ask('{ eventCursor }', {});
    const journey = await flows.start(flowId);
    await flows.waiting(journey);
    const progress = app.subscribe(
      `subscription ($id: ID!, $after: Cursor) { journeyProgress(id: $id, after: $after) {
        __typename ... on JourneyProgressEvent { cursor journey { status stepId } } } }`,
      { token: admin, variables: { id: journey.id, after: cursor } },
    );
    expect(await progress.next()).toMatchObject({ __typename: 'JourneyProgressEvent', journey: { stepId: 'w' } });
    await flows.deliver({ journeyId: journey.id, name: 'go' });
    await until(async () => (await progress.next()).journey.status === 'COMPLETED');
    progress.close();
  });

  it('is listed by flow and status, by page, and found by node', async () => {
    const flowId = await flows.published([{ id: 'e', type: 'wait', for: 'event', name: 'x' }]);
    const made = [];
    for (let count = 0; count < 4; count += 1) made.push((await flows.start(flowId)).id);
    await flows.abort(made[0]!);
    const list = (args: string) =>
      flows.ask(
        `query ($flow: ID!) { journeys(flowId: $flow, ${args}) { nodes { id } pageInfo { endCursor hasNextPage } } }`,
        {
          flow: flowId,
        },
      );
    const first = await list('first: 2');
    expect(first.nodes.map(({ id }: Json) => id)).toEqual([made[3], made[2]]);
    const rest = await list(`first: 5, after: "${first.pageInfo.endCursor}"`);
    expect(rest.nodes.map(({ id }: Json) => id)).toEqual([made[1], made[0]]);
    expect((await list('status: ABORTED')).nodes).toEqual([{ id: made[0] }]);
    const node = await flows.ask(`query ($id: ID!) { node(id: $id) { ... on Journey { ${journeyFields} } } }`, {
      id: made[1],
    });
    expect(node.status).toBe('ACTIVE');
    const agent = await app.make.user();
    const { body } = await app.graphql(
      'query ($id: ID!) { node(id: $id) { id } }',
      { id: made[1] },
      { token: agent.token },
    );
    expect(body.errors[0].extensions.code).toBe('FORBIDDEN');
  });

  it('goes on in another process, once, when the one that it began in is gone', async () => {
    const database = await createTestDatabase();
    const [first, second] = [{ database: { url: database.url } }, { database: { url: database.url } }];
    const before = await startApp(first);
    const its = await flowsOf(before);
    const conversation = await before.make.conversation();
    const flowId = await its.published([
      { id: 'w', type: 'wait', for: 'duration', duration: 'P2D', next: 'm' },
      say('m', 'Two days later'),
    ]);
    const journey = await its.start(flowId, { conversationId: conversation.id });
    await its.waiting(journey);
    await before.stop();

    const after = await startApp(second);
    const theirs = await flowsOf(after);
    await passTime(after, 2 * day);
    expect(await theirs.ended(journey)).toMatchObject({ status: 'COMPLETED' });
    await passTime(after, 2 * day);
    const said = await rows(after.core.em.fork(), sql`select 1 from message where sender_type = 'BOT'`);
    expect(said).toHaveLength(1);
    await after.stop();
    await database.drop();
  });

  it('costs nothing while it waits: ten thousand of them leave a claim as it was', async () => {
    const flowId = await flows.published([{ id: 'w', type: 'wait', for: 'duration', duration: 'P3D' }]);
    const one = await flows.start(flowId);
    await flows.waiting(one);
    // As ten thousand calls would have left them.
    await rows(
      app.core.em.fork(),
      sql`with copied as (
            insert into journey (id, flow_id, flow_number, step_id, waiting, wake_at, link_hash)
            select gen_random_uuid(), flow_id, flow_number, step_id, waiting, wake_at, link_hash || n
            from journey cross join generate_series(1, 10000) n where id = ${one.legacyId}::uuid returning id, flow_id)
          insert into lane (kind, id, lane_group, due_at) select 'journey', id, flow_id, now() + interval '3 days' from copied`,
    );
    const plan = await rows<{ 'QUERY PLAN': Json }>(
      app.core.em.fork(),
      sql`explain (analyze, buffers, format json) select 1 from lane
          where lane_group = (select flow_id from journey where id = ${one.legacyId}::uuid) and due_at <= now()
          order by due_at limit 8`,
    );
    const { Plan } = plan[0]!['QUERY PLAN'][0];
    expect(Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks']).toBeLessThan(20);
    const quick = await flows.run([{ id: 's', type: 'set', vars: { a: '1' } }]);
    expect(quick.status).toBe('COMPLETED');
  });
});
