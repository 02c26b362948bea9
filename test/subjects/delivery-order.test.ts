import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { systemCtx } from '../../src/domain/context.ts';
import { newId, sourceThingId } from '../../src/domain/ids.ts';
import { registerLaneKind, wakeLanes } from '../../src/domain/jobs.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { type ActionEndpoint, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, type MadeSource, startApp } from '../support/app.ts';
import { send, sendToEach, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

describe('the order of deliveries', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { retryTimeScale: 0.001, outboundAllow: [endpoint.hostPort] } });
    admin = (await app.make.admin()).token;
  });

  /** So many conversations of one source, made by one webhook. */
  async function conversationsOf(source: MadeSource, count: number): Promise<{ id: string }[]> {
    const { sourceChannelId } = await app.make.channel(source);
    const names = Array.from({ length: count }, (_, index) => `conversation-${index}`);
    await app.make.webhook(source, {
      messages: names.map((name) =>
        app.make.webhookMessage({ source_channel_id: sourceChannelId, source_conversation_id: name }),
      ),
    });
    return names.map((name) => ({ id: sourceThingId(source.sourceId, name) }));
  }

  it('is kept in a conversation while one is tried again; other conversations do not wait', async () => {
    const route = endpoint.route(({ body, attempt }) =>
      body.payload.message.content.text === 'one' && attempt < 4 ? { status: 503 } : success(),
    );
    const source = await app.make.source({ actionEndpoint: route.url });
    const [slow, other] = await conversationsOf(source, 2);
    const sent = [];
    for (const text of ['one', 'two', 'three']) sent.push(await send(app, slow!, text));
    const beside = await settled(app, await send(app, other!, 'beside'));
    expect(beside.deliveryState).toBe('DELIVERED');
    for (const message of sent) expect((await settled(app, message)).deliveryState).toBe('DELIVERED');

    const texts = route.calls.map(({ body }) => body.payload.message.content.text);
    expect(texts.filter((text) => text !== 'beside')).toEqual(['one', 'one', 'one', 'one', 'two', 'three']);
    expect(texts.indexOf('beside')).toBeLessThan(texts.indexOf('two'));
  });

  it('goes on with the next message when one fails for good', async () => {
    const route = endpoint.route(({ body }) =>
      body.payload.message.content.text === 'bad' ? { status: 400 } : success(),
    );
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    const bad = await send(app, conversation, 'bad');
    const good = await send(app, conversation, 'good');
    expect((await settled(app, good)).deliveryState).toBe('DELIVERED');
    expect((await settled(app, bad)).deliveryState).toBe('FAILED');
  });

  it('is the order of sending for 30 messages of a conversation, one call at a time', async () => {
    const route = endpoint.route();
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    const sent = await Promise.all(Array.from({ length: 30 }, (_, index) => send(app, conversation, `${index}`)));
    await Promise.all(sent.map((message) => settled(app, message)));
    const bySequence = [...sent].sort((a, b) => a.sequence - b.sequence).map(({ legacyId }) => legacyId);
    expect(route.calls.map(({ messageId }) => messageId)).toEqual(bySequence);
    expect(route.mostInFlight).toBe(1);
  });

  it('lets at most 8 calls of a source be in flight, and uses all 8', async () => {
    const route = endpoint.route(async () => {
      await until(async () => route.mostInFlight >= 8);
      await sleep(20);
      return success();
    });
    const conversations = await conversationsOf(await app.make.source({ actionEndpoint: route.url }), 24);
    const sent = await sendToEach(app, conversations);
    await Promise.all(sent.map((message) => settled(app, message)));
    expect(route.mostInFlight).toBe(8);
    expect(route.calls).toHaveLength(24);
  });

  it('does not let a source that hangs delay a healthy one', async () => {
    const held: (() => void)[] = [];
    const hanging = endpoint.route(() => new Promise((resolve) => held.push(() => resolve(success()))));
    const healthy = endpoint.route();
    const stuck = await conversationsOf(await app.make.source({ actionEndpoint: hanging.url }), 40);
    const [fast] = await conversationsOf(await app.make.source({ actionEndpoint: healthy.url }), 1);
    const waiting = await sendToEach(app, stuck);
    await until(async () => hanging.inFlight === 8);

    const took: number[] = [];
    for (let index = 0; index < 20; index += 1) {
      const startedAt = performance.now();
      const message = await send(app, fast!);
      const [call] = await until(
        async () => healthy.callsOf(message.legacyId).length > 0 && healthy.callsOf(message.legacyId),
      );
      took.push(call!.at - startedAt);
      await settled(app, message);
    }
    took.sort((a, b) => a - b);
    expect(took[18]).toBeLessThan(200);
    expect(hanging.calls).toHaveLength(8);

    hanging.answerBy(() => success());
    for (const release of held) release();
    await Promise.all(waiting.map((message) => settled(app, message)));
    expect(hanging.calls).toHaveLength(40);
  });

  it('carries far more than 20 messages a second to an endpoint that needs 50 ms', async () => {
    const gate = Promise.withResolvers<void>();
    const route = endpoint.route(async () => {
      await gate.promise;
      await sleep(50);
      return success();
    });
    const conversations = await conversationsOf(await app.make.source({ actionEndpoint: route.url }), 200);
    await sendToEach(app, conversations);
    const openedAt = performance.now();
    gate.resolve();
    await until(async () => route.calls.length === 200, 15_000);
    const seconds = (route.calls.at(-1)!.at - openedAt) / 1000;
    expect(route.mostInFlight).toBe(8);
    expect(new Set(route.calls.map(({ messageId }) => messageId)).size).toBe(200);
    expect(200 / seconds).toBeGreaterThan(40);
  });

  it('tells each step of a message once, the last one its final state', async () => {
    const route = endpoint.route(({ attempt }) => (attempt < 4 ? { status: 500 } : success()));
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    const { eventCursor } = await app.data('{ eventCursor }', {}, admin);
    const message = await settled(app, await send(app, conversation));
    await app.rest('conversations.read', { conversation_id: conversation.id }, { token: admin });

    const stream = app.subscribe(
      `subscription ($id: ID!, $after: Cursor) { conversation(id: $id, after: $after) {
        __typename ... on MessageEvent { created message { id deliveryState } } ... on ConversationEvent { created } } }`,
      { token: admin, variables: { id: conversation.id, after: eventCursor } },
    );
    // The reading was told last.
    const heard = [];
    for (let event = await stream.next(); event.created !== false || event.message; event = await stream.next()) {
      if (event.message?.id === message.id) heard.push(event);
    }
    stream.close();
    expect(heard.map(({ created }) => created)).toEqual([true, false, false, false, false]);
    expect(heard.at(-1).message).toEqual({ id: message.id, deliveryState: 'DELIVERED' });
  });

  it('does not let lanes whose work throws hold the others up, and gives them up', async () => {
    const poisoned = new Set(Array.from({ length: 20 }, newId));
    const claims: string[] = [];
    registerLaneKind('poison-of-a-test', {
      async work(_ctx, { lane }) {
        claims.push(lane.id);
        if (lane.attempts < 5) throw new Error('this lane cannot be worked');
        poisoned.delete(lane.id);
        return { next: 'finish' };
      },
    });
    const group = newId();
    await transaction(systemCtx(app.core, 'test'), (tx) =>
      wakeLanes(
        tx,
        [...poisoned].map((id) => ({ kind: 'poison-of-a-test', id, group })),
      ),
    );
    const route = endpoint.route();
    const conversations = await conversationsOf(await app.make.source({ actionEndpoint: route.url }), 50);
    const sent = await sendToEach(app, conversations);
    for (const message of sent) expect((await settled(app, message)).deliveryState).toBe('DELIVERED');
    await until(async () => poisoned.size === 0);
    expect(claims).toHaveLength(100);
  });
});
