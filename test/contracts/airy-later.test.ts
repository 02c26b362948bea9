import { beforeAll, describe, expect, it } from '@jest/globals';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

// Section 6 of the legacy contract: what came with later versions, with the second spelling that some clients use.

let app: App;
let endpoint: ActionEndpoint;
let agent: { id: string; token: string };
let admin: { token: string };
beforeAll(async () => {
  endpoint = await startActionEndpoint();
  app = await startApp({ settings: { outboundAllow: ['127.0.0.0/8'] } });
  agent = await app.make.user();
  admin = await app.make.admin();
});

const unknownId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const info = async (conversation_id: string): Promise<Json> =>
  (await app.rest('conversations.info', { conversation_id }, agent)).body;
const statusOf = async (name: string, request: Json, caller: { token: string } = agent) =>
  (await app.rest(name, request, caller)).status;

describe('Conversation', () => {
  it.each(['conversations.mark-read', 'conversations.markRead'])('%s: unread is 0', async (name) => {
    const { id: conversation_id } = await app.make.conversation({ messages: [{}, {}] });
    const { status, text } = await app.rest(name, { conversation_id }, agent);
    expect([status, text]).toEqual([204, '']);
    expect((await info(conversation_id)).metadata.unread_count).toBe(0);
    expect(await statusOf(name, { conversation_id: unknownId })).toBe(404);
  });

  it.each([
    ['conversations.set-state', 'conversations.remove-state'],
    ['conversations.setState', 'conversations.removeState'],
  ])('%s and %s: set, remove state', async (set, remove) => {
    const { id: conversation_id } = await app.make.conversation();
    for (const state of ['CLOSED', 'snoozed', 'Open']) {
      const { status, text } = await app.rest(set, { conversation_id, state }, agent);
      expect([status, text]).toEqual([204, '']);
      expect((await info(conversation_id)).metadata.state).toBe(state.toUpperCase());
    }
    await app.rest(set, { conversation_id, state: 'CLOSED' }, agent);
    expect(await statusOf(remove, { conversation_id })).toBe(204);
    expect((await info(conversation_id)).metadata.state).toBe('OPEN');
    expect(await statusOf(set, { conversation_id, state: 'GONE' })).toBe(400);
    expect(await statusOf(set, { conversation_id: unknownId, state: 'OPEN' })).toBe(404);
    expect(await statusOf(remove, { conversation_id: unknownId })).toBe(404);
  });

  it.each(['conversations.update-contact', 'conversations.updateContact'])(
    '%s replaces the default name',
    async (name) => {
      const { id: conversation_id } = await app.make.conversation();
      expect(await statusOf(name, { conversation_id, display_name: 'Grace Brewster Hopper' })).toBe(204);
      expect(await info(conversation_id)).toMatchObject({
        contact: { first_name: 'Grace Brewster', last_name: 'Hopper' },
        metadata: { contact: { display_name: 'Grace Brewster Hopper' } },
      });
      expect(await statusOf(name, { conversation_id, display_name: ' ' })).toBe(400);
      expect(await statusOf(name, { conversation_id: unknownId, display_name: 'x' })).toBe(404);
    },
  );

  it('update-contact is kept for the contact where there is none yet', async () => {
    const conversation = await app.make.conversation({ messages: [{ from_contact: false }] });
    const { id: conversation_id, source, channel, sourceConversationId } = conversation;
    await app.rest('conversations.update-contact', { conversation_id, display_name: 'Ada Lovelace' }, agent);
    expect((await info(conversation_id)).contact.id).toBeNull();
    await app.make.webhook(source, {
      messages: [
        app.make.webhookMessage({
          source_channel_id: channel.sourceChannelId,
          source_conversation_id: sourceConversationId,
        }),
      ],
    });
    expect((await info(conversation_id)).contact).toMatchObject({ first_name: 'Ada', last_name: 'Lovelace' });
  });

  it('refetch: 202 and nothing to do without a connector, 404', async () => {
    const { id: conversation_id } = await app.make.conversation();
    expect(await statusOf('conversations.refetch', { conversation_id })).toBe(202);
    expect(await statusOf('conversations.refetch', { conversation_id: unknownId })).toBe(404);
  });
});

describe('Messages', () => {
  it.each(['messages.suggest-replies', 'messages.suggestReplies'])('%s returns the suggestions', async (name) => {
    const { messageIds } = await app.make.conversation();
    const suggestions = { 'reply-1': { content: { text: 'Yes' } }, 'reply-2': { content: { text: 'No' } } };
    const { status, body } = await app.rest(name, { message_id: messageIds[0], suggestions }, agent);
    expect([status, body.id, body.metadata.suggestions]).toEqual([200, messageIds[0], suggestions]);
    const fewer = { 'reply-3': { content: 'Later' } };
    const again = await app.rest(name, { message_id: messageIds[0], suggestions: fewer }, agent);
    expect(again.body.metadata.suggestions).toEqual(fewer);
    expect(await statusOf(name, { message_id: unknownId, suggestions })).toBe(404);
    expect(await statusOf(name, { message_id: messageIds[0], suggestions: { a: {} } })).toBe(400);
  });

  it('messages.send to a new recipient begins the conversation; the reply lands in it', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    const channel = await app.make.channel(source);
    const request = { source_recipient_id: 'recipient-1', channel_id: channel.id, message: { text: 'Hello' } };
    const { status, body } = await app.rest('messages.send', request, agent);
    expect([status, body]).toMatchObject([200, { state: 'pending', sender: { id: agent.id } }]);
    const [called] = await until(async () => (route.calls.length > 0 ? route.calls : undefined));
    const payload = (called!.body as Json).payload;
    expect(payload).toEqual({ message: expect.objectContaining({ id: body.id, source_recipient_id: 'recipient-1' }) });

    await app.make.webhook(source, {
      messages: [
        app.make.webhookMessage({
          source_channel_id: channel.sourceChannelId,
          source_conversation_id: 'recipient-1',
          sent_at: Date.now(),
        }),
      ],
    });
    const again = await app.rest('messages.send', request, agent);
    expect(again.status).toBe(200);
    const { data } = (await app.rest('conversations.list', { page_size: 100 }, agent)).body;
    const own = data.filter((one: Json) => one.channel.id === channel.id);
    expect(own).toHaveLength(1);
    const messages = await app.rest('messages.list', { conversation_id: own[0].id }, agent);
    expect(messages.body.data).toHaveLength(3);
    await until(async () => route.calls.length === 2);
    expect((route.calls[1]!.body as Json).payload.conversation).toMatchObject({
      id: own[0].id,
      source_conversation_id: 'recipient-1',
    });
  });

  it('messages.send to a new recipient: 403 unknown or disconnected channel, 400 when neither form is complete', async () => {
    const source = await app.make.source();
    const { id: channel_id } = await app.make.channel(source);
    const request = { source_recipient_id: 'recipient-1', channel_id, message: { text: 'Hello' } };
    expect(await statusOf('messages.send', { ...request, channel_id: unknownId })).toBe(403);
    for (const fields of [{ channel_id: null }, { source_recipient_id: '' }, { source_recipient_id: undefined }]) {
      expect(await statusOf('messages.send', { ...request, ...fields })).toBe(400);
    }
    expect(await statusOf('messages.send', { ...request, source_recipient_id: 'x'.repeat(600) })).toBe(400);
    const { id: conversation_id } = await app.make.conversation();
    expect(await statusOf('messages.send', { ...request, conversation_id })).toBe(400);
    await app.rest('channels.disconnect', { channel_id }, admin);
    expect(await statusOf('messages.send', request)).toBe(403);
    const { body } = await app.rest('conversations.list', { page_size: 100 }, agent);
    expect(body.data.filter((one: Json) => one.channel.id === channel_id)).toEqual([]);
  });

  it('messages.send to a new recipient: the same key sends once', async () => {
    const { id: channel_id } = await app.make.channel(await app.make.source());
    const request = { source_recipient_id: 'recipient-2', channel_id, message: { text: 'Hello' } };
    const send = () =>
      app.rest('messages.send', request, { token: agent.token, headers: { 'idempotency-key': 'key-of-recipient-2' } });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.body.id]).toEqual([200, first.body.id]);
  });
});

describe('messages.list', () => {
  it("a message's metadata key data_<url> replaces that url in its content; reactions are shown", async () => {
    const url = 'https://files.example.com/a.b/picture.png';
    const content = { type: 'image', url, list: [`see ${url}`], other: 'https://files.example.com' };
    const conversation = await app.make.conversation({
      messages: [
        { source_message_id: 'with-picture', content },
        { source_message_id: 'plain', content: 'x', sent_at: 5 },
      ],
    });
    const copy = 'https://copies.example.com/1?$&';
    await app.make.webhook(conversation.source, {
      metadata: [
        {
          namespace: 'message',
          source_id: 'with-picture',
          metadata: { [`data_${url}`]: copy, reaction: { emoji: '🙂' } },
        },
      ],
    });
    const { body } = await app.rest('messages.list', { conversation_id: conversation.id }, agent);
    const shown = body.data.find((one: Json) => one.content.type === 'image');
    expect(shown.content).toEqual({ ...content, url: copy, list: [`see ${copy}`] });
    expect(shown.metadata.reaction).toEqual({ emoji: '🙂' });
  });
});

describe('Metadata', () => {
  const upsert = (subject: string, id: string, data: Json) => app.rest('metadata.upsert', { subject, id, data }, agent);

  it('upsert 204 with string, array, number, visible under user_data; object and dot keys are the same', async () => {
    const { id, messageIds } = await app.make.conversation();
    for (const [data, shown] of [
      [{ erp: { id: 'abc' } }, { erp: { id: 'abc' } }],
      [{ 'erp.list': [1, 'b'] }, { erp: { id: 'abc', list: [1, 'b'] } }],
      [{ count: 3 }, { erp: { id: 'abc', list: [1, 'b'] }, count: 3 }],
      [{ erp: 'gone' }, { erp: 'gone', count: 3 }],
    ]) {
      for (const [subject, of] of [
        ['conversation', id],
        ['message', messageIds[0]!],
      ] as const) {
        const { status, text } = await upsert(subject, of, data);
        expect([status, text]).toEqual([204, '']);
      }
      expect((await info(id)).metadata.user_data).toEqual(shown);
      const { body } = await app.rest('messages.list', { conversation_id: id }, agent);
      expect(body.data[0].metadata.user_data).toEqual(shown);
    }
  });

  it('upsert of a channel stays when its source connects it again', async () => {
    const source = await app.make.source();
    const { id, sourceChannelId } = await app.make.channel(source);
    expect((await upsert('channel', id, { shop: 7 })).status).toBe(204);
    await app.make.channel(source, sourceChannelId);
    const { body } = await app.rest('channels.info', { channel_id: id }, agent);
    expect(body.metadata).toEqual({ name: 'A channel', user_data: { shop: 7 } });
  });

  it('upsert: 400 for an unknown subject or id, and for what is no object', async () => {
    const { id } = await app.make.conversation();
    expect((await upsert('contact', id, {})).status).toBe(400);
    expect((await upsert('message', unknownId, {})).status).toBe(400);
    expect((await upsert('conversation', id, [])).status).toBe(400);
  });
});

describe('Channels', () => {
  it('channels.info: 200 and 404; channels.update: name and picture', async () => {
    const { id: channel_id } = await app.make.channel(await app.make.source());
    expect((await app.rest('channels.info', { channel_id }, agent)).body).toMatchObject({ id: channel_id });
    expect(await statusOf('channels.info', { channel_id: unknownId })).toBe(404);
    const request = { channel_id, name: 'A new name', image_url: 'https://x.example/p.png' };
    const { status, body } = await app.rest('channels.update', request, admin);
    expect([status, body]).toMatchObject([200, { id: channel_id, name: 'A new name', image_url: request.image_url }]);
    const kept = await app.rest('channels.update', { channel_id }, admin);
    expect(kept.body).toEqual(body);
    expect(await statusOf('channels.update', { ...request, channel_id: unknownId }, admin)).toBe(404);
    expect(await statusOf('channels.update', { channel_id, name: '' }, admin)).toBe(400);
  });

  it('any channels.<x>.disconnect takes any channel id: 204, and again', async () => {
    const { id: channel_id } = await app.make.channel(await app.make.source());
    for (const name of [
      'channels.facebook.disconnect',
      'channels.instagram.disconnect',
      'channels.twilio.sms.disconnect',
      'channels.twilio.whatsapp.disconnect',
      'channels.email.disconnect',
      'channels.fcm.disconnect',
      'channels.apns.disconnect',
      'channels.webpush.disconnect',
      'channels.webchat.disconnect',
    ]) {
      const { status, text } = await app.rest(name, { channel_id }, admin);
      expect([status, text]).toEqual([204, '']);
      expect(await statusOf(name, { channel_id: unknownId }, admin)).toBe(404);
    }
    expect((await app.rest('channels.info', { channel_id }, agent)).body.connected).toBe(false);
  });

  const forms: [name: string, fields: Json, sourceChannelId: string][] = [
    ['channels.facebook.connect', { page_id: 'p-1', page_token: 'canary' }, 'p-1'],
    ['channels.instagram.connect', { page_id: 'p-1', account_id: 'a-1', page_token: 'canary' }, 'a-1'],
    [
      'channels.twilio.sms.connect',
      { phone_number: '+49 30 901820', name: 'Phone', auth_token: 'canary' },
      '+4930901820',
    ],
    ['channels.twilio.whatsapp.connect', { phone_number: '+4930901820', name: 'Phone' }, 'whatsapp:+4930901820'],
    ['channels.email.connect', { address: ' Desk@Example.com', name: 'Desk', smtp_url: 'canary' }, 'desk@example.com'],
    ['channels.fcm.connect', { project_id: 'shop', service_account: 'canary', name: 'Shop' }, 'shop'],
    [
      'channels.apns.connect',
      { topic: 'com.example', team_id: 't', key_id: 'k', key: 'canary', sandbox: true },
      'com.example',
    ],
    ['channels.webpush.connect', { name: 'Shop', contact: 'mailto:desk@example.com' }, 'Shop'],
    ['channels.webchat.connect', { name: 'Site', allowed_origins: ['https://shop.example'] }, 'Site'],
  ];

  it.each(forms)('%s fills in the form of its vendor', async (path, fields, sourceChannelId) => {
    const name = path.replace(/^channels\.|\.connect$/g, '');
    const refused = await app.rest(path, fields, admin);
    expect([refused.status, refused.body]).toEqual([400, { message: `source ${name} not implemented` }]);
    await app.make.source({ sourceId: name });
    const { status, text, body } = await app.rest(path, fields, admin);
    expect([status, body]).toMatchObject([200, { source: name, source_channel_id: sourceChannelId, connected: true }]);
    expect(text).not.toContain('canary');
    const [missing] = Object.keys(fields);
    expect(await statusOf(path, { ...fields, [missing!]: undefined }, admin)).toBe(400);
  });

  it.each([
    ['channels.facebook.explore', 'auth_token'],
    ['facebook.channels.explore', 'token'],
  ])('%s takes %s', async (name, field) => {
    const fresh = await startApp();
    const { token } = await fresh.make.admin();
    const refused = await fresh.rest(name, { [field]: 'a token' }, { token });
    expect([refused.status, refused.body]).toEqual([400, { message: 'source facebook not implemented' }]);
    await fresh.make.source({ sourceId: 'facebook' });
    const { status, body } = await fresh.rest(name, { [field]: 'a token' }, { token });
    expect([status, body]).toEqual([200, { data: [] }]);
    expect(await statusOf(name, {}, admin)).toBe(400);
  });
});
