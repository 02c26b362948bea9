import { createServer } from 'node:net';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type ActionEndpoint, type Answer, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { messageNow, send, settled } from '../support/sending.ts';

describe('delivery to the action endpoint', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { retryTimeScale: 0.001, outboundAllow: [endpoint.hostPort] } });
    admin = (await app.make.admin()).token;
  });

  const conversationAt = async (actionEndpoint?: string) =>
    app.make.conversation({ source: await app.make.source({ actionEndpoint }) });

  describe('a success', () => {
    it('tells the endpoint all that the contract names, and nothing else', async () => {
      const route = endpoint.route();
      const conversation = await conversationAt(route.url);
      const message = await send(app, conversation, 'Hello there');
      await settled(app, message);

      const [call] = route.calls;
      expect(call!.headers).toMatchObject({
        'content-type': 'application/json',
        'webhook-id': `msg_${message.legacyId}`,
      });
      expect(call!.body).toEqual({
        type: 'message.send',
        payload: {
          message: {
            id: message.legacyId,
            source_recipient_id: conversation.sourceConversationId,
            content: { text: 'Hello there' },
            sent_at: message.sentAt,
          },
          conversation: {
            id: conversation.id,
            channel_id: expect.any(String),
            source_channel_id: conversation.channel.sourceChannelId,
            source_conversation_id: conversation.sourceConversationId,
            created_at: '2020-09-13T12:26:40.000Z',
          },
        },
      });
    });

    it('makes the message DELIVERED, merges the metadata of the answer and keeps its id as source.id', async () => {
      const route = endpoint.route(() => ({
        body: {
          source_message_id: 'theirs',
          metadata: { 'receipt.number': 7, source: { name: 'x', id: 'forged' } },
          more: 1,
        },
      }));
      const message = await send(app, await conversationAt(route.url));
      expect(message).toMatchObject({ deliveryState: 'PENDING', sourceMessageId: null, failure: null });
      expect(await settled(app, message)).toMatchObject({
        deliveryState: 'DELIVERED',
        sourceMessageId: 'theirs',
        failure: null,
        metadata: { receipt: { number: 7 }, source: { name: 'x', id: 'theirs' } },
      });
      expect(route.calls).toHaveLength(1);
    });

    it.each<[string, unknown]>([
      ['no metadata', undefined],
      ['metadata null', null],
      ['metadata that is a list', [1]],
      ['metadata that is a text', 'x'],
      ['NUL in its metadata', { note: 'a\0b' }],
      ['half a surrogate pair in its metadata', { note: '\ud800' }],
      ['NUL in a key of its metadata', { 'a\0b': 1 }],
      ['metadata nested 40 deep by dots', { [Array(40).fill('a').join('.')]: 1 }],
      ['metadata over 64 KiB', { note: 'x'.repeat(70_000) }],
      ['a key that is ours', { error: 'forged', unread_count: 5, state: 'CLOSED' }],
    ])('stays a success with %s: delivered once, that metadata left out', async (_what, metadata) => {
      const route = endpoint.route(() => success(metadata));
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      expect(message).toMatchObject({
        deliveryState: 'DELIVERED',
        metadata: { source: { id: message.sourceMessageId } },
      });
      expect(Object.keys(message.metadata)).toEqual(['source']);
      expect(route.calls).toHaveLength(1);
    });

    it('stays a success with metadata that nests deeper than can be written out again', async () => {
      const deep = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
      const route = endpoint.route(() => ({ body: `{"source_message_id":"deep","metadata":${deep}}` }));
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      expect(message).toMatchObject({ deliveryState: 'DELIVERED', metadata: { source: { id: 'deep' } } });
      expect(route.calls).toHaveLength(1);
    });

    it('may give the id of an earlier message again: both are delivered, the first keeps it', async () => {
      const route = endpoint.route(() => ({ body: { source_message_id: 'the-same' } }));
      const conversation = await conversationAt(route.url);
      const first = await settled(app, await send(app, conversation));
      const second = await settled(app, await send(app, conversation));
      expect([first.deliveryState, second.deliveryState]).toEqual(['DELIVERED', 'DELIVERED']);
      expect([first.sourceMessageId, second.sourceMessageId]).toEqual(['the-same', null]);
      expect(second.metadata).toEqual({ source: { id: 'the-same' } });
      expect(route.calls).toHaveLength(2);
    });

    it('is known again when the source tells it by webhook', async () => {
      const route = endpoint.route(() => ({ body: { source_message_id: 'echoed' } }));
      const conversation = await conversationAt(route.url);
      const message = await settled(app, await send(app, conversation));
      const echo = app.make.webhookMessage({
        ...conversation.place,
        source_message_id: 'echoed',
        from_contact: false,
        content: { text: 'another text' },
      });
      const answer = await app.make.webhook(conversation.source, { messages: [echo, echo] });
      expect(answer.data).toEqual(
        Array(2).fill({ source_message_id: 'echoed', id: message.legacyId, status: 'duplicate' }),
      );
      const list = await app.rest('messages.list', { conversation_id: conversation.id }, { token: admin });
      expect(list.body.data.map((each: Json) => each.content.text)).toEqual(['Hello', 'Hello there']);
    });
  });

  describe('fails at once with', () => {
    const longId = 'x'.repeat(200_000);
    it.each<[string, Answer, string, RegExp]>([
      ['400', { status: 400, body: { error: 'no such user' } }, 'http_400', /^no such user$/],
      ['404 without a body', { status: 404 }, 'http_404', /404/],
      ['410 and a text', { status: 410, body: 'gone' }, 'http_410', /410/],
      ['422 and an error that is no text', { status: 422, body: { error: { a: 1 } } }, 'http_422', /422/],
      ['a long error', { status: 400, body: { error: 'ü'.repeat(5_000) } }, 'http_400', /^ü{512}$/],
      ['NUL in its error', { status: 400, body: { error: 'a\0b\ud800' } }, 'http_400', /^a\ufffdb\ufffd$/],
      ['201', { status: 201, body: { source_message_id: 'a' } }, 'http_201', /201/],
      ['204', { status: 204 }, 'http_204', /204/],
      ['200 that is not JSON', { body: 'OK' }, 'bad_answer', /source_message_id/],
      ['200 without a body', { body: '' }, 'bad_answer', /source_message_id/],
      ['200 and a list', { body: [{ source_message_id: 'a' }] }, 'bad_answer', /source_message_id/],
      ['200 without source_message_id', { body: { id: 'a' } }, 'bad_answer', /source_message_id/],
      ['an empty source_message_id', { body: { source_message_id: '' } }, 'bad_answer', /source_message_id/],
      ['a source_message_id that is a number', { body: { source_message_id: 1 } }, 'bad_answer', /source_message_id/],
      ['NUL in source_message_id', { body: { source_message_id: 'a\0' } }, 'bad_answer', /source_message_id/],
      ['half a surrogate pair in it', { body: { source_message_id: 'a\ud800' } }, 'bad_answer', /source_message_id/],
      [
        'a source_message_id of 513',
        { body: { source_message_id: 'x'.repeat(513) } },
        'bad_answer',
        /source_message_id/,
      ],
      ['a source_message_id of 200 kB', { body: { source_message_id: longId } }, 'bad_answer', /source_message_id/],
      ['a source_message_id of 1 MB', { body: { source_message_id: longId.repeat(5) } }, 'too-large', /262144 bytes/],
      ['an unknown coding', { headers: { 'content-encoding': 'zstd' }, body: 'x' }, 'decode', /zstd/],
    ])('%s', async (_what, answer, code, reason) => {
      const route = endpoint.route(() => answer);
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      expect(message).toMatchObject({
        deliveryState: 'FAILED',
        sourceMessageId: null,
        failure: { code, message: expect.stringMatching(reason), retryable: false, nextAttemptAt: null },
      });
      expect(message.metadata).toEqual({ error: message.failure.message });
      expect(route.calls).toHaveLength(1);
    });

    it.each([301, 302, 303, 307, 308])('%i, whose target is never asked', async (status) => {
      const target = endpoint.route();
      const route = endpoint.route(() => ({ status, headers: { location: target.url } }));
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      expect(message.failure).toMatchObject({ code: `http_${status}`, message: expect.stringContaining('redirect') });
      expect([route.calls.length, target.calls.length]).toEqual([1, 0]);
    });

    it('an address that is blocked by now: nothing is connected', async () => {
      let connections = 0;
      const canary = createServer(() => (connections += 1)).listen(0, '127.0.0.1');
      await new Promise((resolve) => canary.once('listening', resolve));
      const { port } = canary.address() as { port: number };
      const conversation = await conversationAt(endpoint.route().url);
      // As if its name led to another address now: by the API a blocked one is not taken.
      await rows(
        app.core.em.fork(),
        sql`update source set action_endpoint = ${`http://127.0.0.1:${port}/`} where source_id = ${conversation.source.sourceId}`,
      );
      // After a change this process reads the source anew.
      await app.rest('sources.update', { source_id: conversation.source.sourceId, name: 'Moved' }, { token: admin });
      const message = await settled(app, await send(app, conversation));
      canary.close();
      expect(message).toMatchObject({ deliveryState: 'FAILED', failure: { code: 'blocked', retryable: false } });
      expect(connections).toBe(0);
    });
  });

  it('refuses a blocked address when it is saved', async () => {
    const answer = await app.rest(
      'sources.create',
      { source_id: 'blocked', action_endpoint: 'http://127.0.0.1:1/' },
      { token: admin },
    );
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: 'action_endpoint' }] } });
  });

  it('shows a failure in both APIs', async () => {
    const route = endpoint.route(() => ({ status: 400, body: { error: 'blocked by the user' } }));
    const conversation = await conversationAt(route.url);
    await settled(app, await send(app, conversation));
    const list = await app.rest('messages.list', { conversation_id: conversation.id }, { token: admin });
    expect(list.body.data[1]).toMatchObject({
      state: 'failed',
      delivery_state: 'failed',
      metadata: { error: 'blocked by the user' },
    });
  });

  describe('without an action endpoint', () => {
    it('fails with that reason, and is sent with its old time when it is tried again after registering', async () => {
      const conversation = await conversationAt();
      const message = await settled(app, await send(app, conversation));
      expect(message).toMatchObject({
        deliveryState: 'FAILED',
        failure: { code: 'no_action_endpoint', retryable: false },
      });
      expect(message.failure.message).toContain('no action endpoint');

      const route = endpoint.route();
      const source = { source_id: conversation.source.sourceId, action_endpoint: route.url };
      expect((await app.rest('sources.update', source, { token: admin })).status).toBe(200);
      const again = await app.rest('messages.resend', { message_id: message.legacyId }, { token: admin });
      expect(again).toMatchObject({ status: 200, body: { state: 'pending', sent_at: message.sentAt } });

      expect(await settled(app, message)).toMatchObject({
        deliveryState: 'DELIVERED',
        failure: null,
        sentAt: message.sentAt,
      });
      expect(route.calls.map(({ body }) => body.payload.message.sent_at)).toEqual([message.sentAt]);
      expect((await messageNow(app, message)).metadata).not.toHaveProperty('error');
    });

    it('is tried again by retryMessage as well, by agents too', async () => {
      const conversation = await conversationAt();
      const message = await settled(app, await send(app, conversation));
      const route = endpoint.route();
      await app.rest(
        'sources.update',
        { source_id: conversation.source.sourceId, action_endpoint: route.url },
        { token: admin },
      );
      const { token } = await app.make.user({ role: 'AGENT' });
      const { retryMessage } = await app.data(
        'mutation ($input: MessageInput!) { retryMessage(input: $input) { message { deliveryState failure { code } } } }',
        { input: { messageId: message.id } },
        token,
      );
      expect(retryMessage.message).toEqual({ deliveryState: 'PENDING', failure: null });
      expect((await settled(app, message)).deliveryState).toBe('DELIVERED');
    });
  });

  describe('messages.resend', () => {
    it.each(['delivered', 'pending'])('answers 409 for a message that is %s', async (state) => {
      const route = endpoint.route(() => (state === 'delivered' ? success() : () => undefined));
      const message = await send(app, await conversationAt(route.url));
      if (state === 'delivered') await settled(app, message);
      const again = await app.rest('messages.resend', { message_id: message.legacyId }, { token: admin });
      expect(again).toMatchObject({ status: 409, body: { message: 'Message is not in a failed state' } });
    });

    it('answers 404 for an unknown one', async () => {
      const unknown = { message_id: '00000000-0000-4000-8000-000000000000' };
      expect((await app.rest('messages.resend', unknown, { token: admin })).status).toBe(404);
    });

    it('sends a failed message once, however many ask at once', async () => {
      const route = endpoint.route(({ attempt }) => (attempt === 1 ? { status: 400 } : success()));
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      const asked = await Promise.all(
        Array.from({ length: 8 }, () =>
          app.rest('messages.resend', { message_id: message.legacyId }, { token: admin }),
        ),
      );
      expect(asked.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)]);
      expect((await settled(app, message)).deliveryState).toBe('DELIVERED');
      expect(route.calls).toHaveLength(2);
    });
  });

  it('takes nothing for a disconnected channel: 403', async () => {
    const route = endpoint.route();
    const conversation = await conversationAt(route.url);
    const { id } = (await app.rest('sources.channels.list', {}, { token: conversation.source.token })).body.data[0];
    expect((await app.rest('channels.disconnect', { channel_id: id }, { token: admin })).status).toBe(200);
    const refused = await app.rest(
      'messages.send',
      { conversation_id: conversation.id, message: { text: 'x' } },
      { token: admin },
    );
    expect(refused).toMatchObject({ status: 403, body: { message: expect.stringContaining('disconnected') } });
    const list = await app.rest('messages.list', { conversation_id: conversation.id }, { token: admin });
    expect(list.body.data).toHaveLength(1);
  });

  it('keeps each exchange for administrators, without any secret', async () => {
    const route = endpoint.route(({ attempt }) =>
      attempt === 1 ? { status: 503, body: 'not now' } : { body: { source_message_id: 'seen' } },
    );
    const conversation = await conversationAt(route.url);
    const message = await settled(app, await send(app, conversation, 'A text'));
    const { source } = await app.data(
      `query ($id: String!) { source(sourceId: $id) { deliveries { attempt url statusCode error durationMs request response }
        failed: deliveries(last: 1, onlyFailed: true) { attempt } } }`,
      { id: conversation.source.sourceId },
      admin,
    );
    expect(source.deliveries).toEqual([
      {
        attempt: 2,
        url: route.url,
        statusCode: 200,
        error: null,
        durationMs: expect.any(Number),
        request: route.calls[1]!.body,
        response: { body: '{"source_message_id":"seen"}' },
      },
      expect.objectContaining({
        attempt: 1,
        statusCode: 503,
        error: 'the action endpoint answered 503',
        response: { body: 'not now' },
      }),
    ]);
    expect(source.failed).toEqual([{ attempt: 1 }]);
    const text = JSON.stringify(source);
    const { token, signingSecret } = conversation.source;
    for (const secret of [token, signingSecret, String(route.calls[0]!.headers['x-airy-content-signature'])]) {
      expect(text).not.toContain(secret);
    }
    expect(message.deliveryState).toBe('DELIVERED');

    const agent = await app.make.user({ role: 'AGENT' });
    const refused = await app.graphql(
      'query ($id: String!) { source(sourceId: $id) { deliveries { id } } }',
      { id: conversation.source.sourceId },
      { token: agent.token },
    );
    expect(refused.body).toMatchObject({
      data: { source: { deliveries: null } },
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    });
  });
});
