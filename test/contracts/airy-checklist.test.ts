import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type ActionCall, type ActionEndpoint, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

// "Checklist of behaviours" and "Upstream's defects to beat" of the legacy contract: conversations, messages, sources.

let app: App;
let endpoint: ActionEndpoint;
let agent: { id: string; token: string };
beforeAll(async () => {
  endpoint = await startActionEndpoint();
  app = await startApp({ settings: { outboundAllow: ['127.0.0.0/8'], retryTimeScale: 0.002 } });
  agent = await app.make.user();
});

const info = async (conversation_id: string): Promise<Json> =>
  (await app.rest('conversations.info', { conversation_id }, agent)).body;
const messagesOf = async (conversation_id: string): Promise<Json[]> =>
  (await app.rest('messages.list', { conversation_id, page_size: 100 }, agent)).body.data;
const send = (conversation_id: string, message: Json, headers?: Record<string, string>) =>
  app.rest('messages.send', { conversation_id, message }, { token: agent.token, headers });
/** The message once it is in this state. */
const reached = (state: string, conversation_id: string, id: string): Promise<Json> =>
  until(async () => (await messagesOf(conversation_id)).find((one) => one.id === id && one.state === state));

describe('Conversation', () => {
  it("info shows the channel and the last message's sender", async () => {
    const { id, source, channel } = await app.make.conversation({ displayName: 'Grace Hopper' });
    const { contact, ...shown } = await info(id);
    expect(shown.channel).toMatchObject({
      id: channel.id,
      source: source.sourceId,
      source_channel_id: channel.sourceChannelId,
      connected: true,
    });
    expect(shown.last_message).toMatchObject({
      sender: { id: contact.id, name: 'Grace Hopper' },
      sender_type: 'source_contact',
      from_contact: true,
    });
  });

  it('three unread then read gives 0', async () => {
    const { id } = await app.make.conversation({ messages: [{}, {}, {}] });
    expect((await info(id)).unread_message_count).toBe(3);
    await app.rest('conversations.read', { conversation_id: id }, agent);
    expect((await info(id)).unread_message_count).toBe(0);
    const again = await app.rest('conversations.read', { conversation_id: id }, agent);
    expect(again.status).toBe(202);
  });

  it("an agent's own messages never count as unread", async () => {
    const { id } = await app.make.conversation({ messages: [{ from_contact: false }] });
    await send(id, { text: 'Hello' });
    expect((await info(id)).unread_message_count).toBe(0);
  });

  it('newest last message first: a message moves its conversation to the top', async () => {
    const earlier = await app.make.conversation();
    const later = await app.make.conversation({ messages: [{ sent_at: 1_600_000_000_001 }] });
    const order = async () => {
      const { body } = await app.rest('conversations.list', { page_size: 100 }, agent);
      const ids: string[] = body.data.map(({ id }: Json) => id);
      return ids.filter((id) => id === earlier.id || id === later.id);
    };
    expect(await order()).toEqual([later.id, earlier.id]);
    await send(earlier.id, { text: 'Hello' });
    expect(await order()).toEqual([earlier.id, later.id]);
  });
});

describe('messages.send', () => {
  it('stores the content as sent; sender = caller', async () => {
    const { id } = await app.make.conversation();
    for (const [content, shown] of [
      ['a plain text', 'a plain text'],
      [{ text: 'Hello' }, { text: 'Hello', type: 'text' }],
      [{ type: 'template', elements: [{ title: 'ü', price: 1.5, more: null }] }],
    ] as const) {
      const { status, body } = await send(id, content);
      expect([status, body.content]).toEqual([200, shown ?? content]);
      expect((await messagesOf(id)).find((one) => one.id === body.id)).toMatchObject({
        content: shown ?? content,
        sender: { id: agent.id, name: 'Grace Hopper' },
      });
    }
  });

  it('over 64 KiB is 413', async () => {
    const { id } = await app.make.conversation();
    expect((await send(id, 'x'.repeat(65_535))).status).toBe(413);
    expect((await send(id, 'x'.repeat(65_534))).status).toBe(200);
  });

  it('Idempotency-Key: the same key gives the first message and sends nothing', async () => {
    const { id } = await app.make.conversation();
    const key = { 'idempotency-key': 'order-42' };
    const answers = await Promise.all([1, 2, 3, 4].map(() => send(id, { text: 'Hello' }, key)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await messagesOf(id)).toHaveLength(2);
  });

  it('Idempotency-Key: with another body it is 422, of another user or after a refusal it is new', async () => {
    const { id } = await app.make.conversation();
    const headers = { 'idempotency-key': `key-of-${id}` };
    const unknown = await send('a688d36c-a85e-44af-bc02-4248c2c97622', { text: 'Hello' }, headers);
    const first = await send(id, { text: 'Hello' }, headers);
    const other = await send(id, { text: 'Goodbye' }, headers);
    expect([unknown.status, first.status, other.status]).toEqual([404, 200, 422]);
    expect(typeof other.body.message).toBe('string');
    const { token } = await app.make.user();
    const theirs = await app.rest(
      'messages.send',
      { conversation_id: id, message: { text: 'Goodbye' } },
      { token, headers },
    );
    expect(theirs.status).toBe(200);
    expect(await messagesOf(id)).toHaveLength(3);
  });

  it('Idempotency-Key: an empty and a too long one are 400', async () => {
    const { id } = await app.make.conversation();
    for (const key of ['', 'x'.repeat(256)]) {
      const { status, body } = await send(id, { text: 'Hello' }, { 'idempotency-key': key });
      expect([key.length, status, body?.errors?.[0].path]).toEqual([key.length, 400, 'idempotency_key']);
    }
  });

  it('without an action endpoint it fails at once; once there is one, resend sends it with the old sent_at', async () => {
    const source = await app.make.source();
    const { id } = await app.make.conversation({ source });
    const sent = (await send(id, { text: 'Hello' })).body;
    const failed = await reached('failed', id, sent.id);
    expect(failed.metadata.error).toMatch('no action endpoint');

    const route = endpoint.route();
    const update = { source_id: source.sourceId, action_endpoint: route.url };
    await app.rest('sources.update', update, await app.make.admin());
    const { status, body } = await app.rest('messages.resend', { message_id: sent.id }, agent);
    expect([status, body.state, body.sent_at]).toEqual([200, 'pending', sent.sent_at]);
    const delivered = await reached('delivered', id, sent.id);
    expect(delivered.metadata).not.toHaveProperty('error');
    expect(route.calls[0]!.body.payload.message.sent_at).toBe(sent.sent_at);
  });

  it('resend of a message that did not fail is 409', async () => {
    const { id, messageIds } = await app.make.conversation({ source: await sourceWith(endpoint.route().url) });
    const sent = (await send(id, { text: 'Hello' })).body;
    await reached('delivered', id, sent.id);
    for (const message_id of [messageIds[0], sent.id]) {
      const { status, body } = await app.rest('messages.resend', { message_id }, agent);
      expect([status, body]).toEqual([409, { message: 'Message is not in a failed state' }]);
    }
  });
});

const sourceWith = (actionEndpoint: string): Promise<MadeSource> => app.make.source({ actionEndpoint });

describe('Action call', () => {
  it('a pending message makes one signed POST', async () => {
    const route = endpoint.route();
    const source = await sourceWith(route.url);
    const { id } = await app.make.conversation({ source });
    const sent = (await send(id, { text: 'Hello' })).body;
    await reached('delivered', id, sent.id);
    expect(route.calls).toHaveLength(1);
    const [call] = route.calls;
    const expected = createHmac('sha256', source.token).update(call!.raw).digest('hex');
    expect(call!.headers['x-airy-content-signature']).toBe(expected);
  });

  it('5xx is tried again with the same webhook-id; a later message waits its turn', async () => {
    const textOf = (call: ActionCall): string => call.body.payload.message.content.text;
    const route = endpoint.route((call) =>
      textOf(call) === 'first' && call.attempt < 3 ? { status: 503 } : success(),
    );
    const { id } = await app.make.conversation({ source: await sourceWith(route.url) });
    const first = (await send(id, { text: 'first' })).body;
    const second = (await send(id, { text: 'second' })).body;
    await reached('delivered', id, second.id);
    expect(route.calls.map(textOf)).toEqual(['first', 'first', 'first', 'second']);
    expect(new Set(route.callsOf(first.id).map((call) => call.headers['webhook-id'])).size).toBe(1);
  });

  it('a message that is refused does not block the next', async () => {
    const route = endpoint.route((call) =>
      call.body.payload.message.content === 'bad' ? { status: 400, body: { error: 'no' } } : success(),
    );
    const { id } = await app.make.conversation({ source: await sourceWith(route.url) });
    const bad = (await send(id, 'bad')).body;
    const good = (await send(id, 'good')).body;
    await reached('delivered', id, good.id);
    expect((await reached('failed', id, bad.id)).metadata.error).toBe('no');
  });

  it('one slow endpoint does not block another', async () => {
    const slow = endpoint.route(() => () => undefined);
    const held = await app.make.conversation({ source: await sourceWith(slow.url) });
    await send(held.id, 'waits');
    await until(async () => slow.calls[0]);
    const other = await app.make.conversation({ source: await sourceWith(endpoint.route().url) });
    const sent = (await send(other.id, 'Hello')).body;
    await reached('delivered', other.id, sent.id);
    expect(slow.inFlight).toBe(1);
  });
});

describe('Sources', () => {
  it("a deleted source's token is dead, after re-creation too", async () => {
    const admin = await app.make.admin();
    const { id, source, channel } = await app.make.conversation();
    const list = async (token: string) => {
      const { status, text, body } = await app.rest('sources.channels.list', {}, { token });
      return status === 200 ? body.data : [status, text];
    };
    await app.rest('sources.delete', { source_id: source.sourceId }, admin);
    expect(await list(source.token)).toEqual([403, '']);
    expect((await info(id)).channel).toMatchObject({ source: source.sourceId, connected: false });
    expect(await messagesOf(id)).toHaveLength(1);

    const again = await app.make.source({ sourceId: source.sourceId });
    expect(await list(source.token)).toEqual([403, '']);
    expect(await list(again.token)).toEqual([]);
    expect((await app.make.channel(again, channel.sourceChannelId)).id).toBe(channel.id);
  });

  it('rotateSourceToken ends the old token at once; for a day both secrets sign', async () => {
    const route = endpoint.route();
    const source = await sourceWith(route.url);
    const { id } = await app.make.conversation({ source });
    const { rotateSourceToken: rotated } = await app.data(
      'mutation ($input: SourceInput!) { rotateSourceToken(input: $input) { token signingSecret } }',
      { input: { sourceId: source.sourceId } },
      (await app.make.admin()).token,
    );
    const { status, text } = await app.rest('sources.channels.list', {}, source);
    expect([status, text]).toEqual([403, '']);
    expect((await app.rest('sources.channels.list', {}, { token: rotated.token })).status).toBe(200);

    await send(id, { text: 'Hello' });
    const call = await until(async () => route.calls[0]);
    const headers = call.headers as Record<string, string>;
    for (const secret of [source.signingSecret, rotated.signingSecret]) {
      expect(new Webhook(secret).verify(call.raw, headers)).toEqual(call.body);
    }
    const expected = createHmac('sha256', rotated.token).update(call.raw).digest('hex');
    expect(headers['x-airy-content-signature']).toBe(expected);
  });

  it('agents see the sources, but not where their action calls go', async () => {
    const source = await sourceWith(endpoint.route().url);
    const { status, body } = await app.rest('sources.list', {}, agent);
    const listed = body.data.find(({ source_id }: Json) => source_id === source.sourceId);
    expect([status, listed]).toEqual([200, { source_id: source.sourceId }]);
  });

  it('secrets are in no list and no info', async () => {
    const admin = await app.make.admin();
    const source = await app.make.source();
    const metadata = { token: 'secret-token-of-page', page_token: 'secret-page-token', region: 'EU' };
    const channel = { source_channel_id: 'page-1', name: 'My page', metadata };
    const created = await app.rest('sources.channels.create', channel, source);
    expect(created.body.metadata).toEqual({ ...metadata, name: 'My page' });
    const { id } = await app.make.conversation({ source, channel: { id: created.body.id, sourceChannelId: 'page-1' } });
    const answers = [
      await app.rest('sources.channels.list', {}, source),
      await app.rest('channels.list', {}, admin),
      await app.rest('sources.list', {}, admin),
      await app.rest('sources.update', { source_id: source.sourceId }, admin),
      await app.rest('conversations.info', { conversation_id: id }, admin),
      await app.rest('conversations.list', {}, admin),
      await app.rest('messages.list', { conversation_id: id }, admin),
      await app.graphql('{ channels { nodes { metadata } } connectedChannels { metadata } }', {}, admin),
    ];
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      for (const secret of [metadata.token, metadata.page_token, source.token, source.signingSecret]) {
        expect(text).not.toContain(secret);
      }
    }
    expect(answers[0]!.body.data[0].metadata).toEqual({ name: 'My page', region: 'EU' });
  });

  it('channels.list hides what is disconnected, and lists one source where it is asked for', async () => {
    const source = await app.make.source();
    const open = await app.make.channel(source);
    const closed = await app.make.channel(source);
    await app.make.channel(await app.make.source());
    await app.rest('channels.disconnect', { channel_id: closed.id }, await app.make.admin());
    const { body } = await app.rest('channels.list', { source: source.sourceId }, agent);
    expect(body.data.map(({ id }: Json) => id)).toEqual([open.id]);
    expect((await app.rest('channels.list', { source: 'unknown-source' }, agent)).body.data).toEqual([]);
  });

  it('sources.channels.create: what is wrong is 400', async () => {
    const source = await app.make.source();
    const good = { source_channel_id: 'page-1', name: 'My page' };
    for (const [bad, path] of [
      [{ source_channel_id: undefined }, 'source_channel_id'],
      [{ source_channel_id: '' }, 'source_channel_id'],
      [{ source_channel_id: 'x'.repeat(513) }, 'source_channel_id'],
      [{ name: undefined }, 'name'],
      [{ name: ' ' }, 'name'],
      [{ metadata: 'text' }, 'metadata'],
      [{ metadata: { token: 5 } }, 'metadata.token'],
      [{ metadata: { image_url: 'picture.png' } }, 'metadata.image_url'],
    ] as const) {
      const { status, body } = await app.rest('sources.channels.create', { ...good, ...bad }, source);
      expect([bad, status, body.errors?.[0].path]).toEqual([bad, 400, path]);
    }
    expect((await app.rest('sources.channels.list', {}, source)).body.data).toEqual([]);
  });
});
