import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { sample, shapeFaults } from '../support/shape.ts';
import { until } from '../support/until.ts';

// The samples are those of Airy's HTTP document (2020), as it prints them.
const sessionAnswer = sample(`{
  "id": "424242-4242-42-4242-4242",
  "first_name": "Grace",
  "last_name": "Hopper",
  "token": "JWT_TOKEN"
}`);

const messageAnswer = sample(`{
  "id": "{UUID}",
  "content": {
    "text": "{String}",
    "type": "text"
    // Determines the schema of the content
  },
  // typed source message model
  "state": "{String}",
  // delivery state of message, one of PENDING, FAILED, DELIVERED
  "sender_type": "{string/enum}",
  // See glossary
  "sent_at": "{string}"
  //'yyyy-MM-dd'T'HH:mm:ss.SSSZ' date in UTC form, to be localized by clients
}`);

const conversationsAnswer = sample(`{
  "data": [
    {
      "id": "a688d36c-a85e-44af-bc02-4248c2c97622",
      "channel": {
        "name": "facebook",
        // name of the source
        "id": "318efa04-7cc1-4200-988e-50699d0dd6e3"
      },
      "created_at": "2019-01-07T09:01:44.000Z",
      "contact": {
        // Additional data on the contact
        "avatar_url": "https://assets.airy.co/AirySupportIcon.jpg",
        "first_name": "Airy Support",
        "last_name": null,
        "id": "36d07b7b-e242-4612-a82c-76832cfd1026"
      },
      "tags": ["f339c325-8614-43cb-a70a-e83d81bf56fc"],
      "last_message": {
        id: "{UUID}",
        content: {
          text: "{String}",
          type: "text"
          // Determines the schema of the content
        },
        // typed source message model
        state: "{String}",
        // delivery state of message, one of PENDING, FAILED, DELIVERED
        sender_type: "{string/enum}",
        // See glossary
        sent_at: "{string}"
        //'yyyy-MM-dd'T'HH:mm:ss.SSSZ' date in UTC form, to be localized by clients
      },
      "unread_message_count": 1
    }
  ],
  "response_metadata": {
    "previous_cursor": "",
    "next_cursor": "",
    "filtered_total": 1,
    "total": 1,
    "badge_unread_count": 1
  }
}`);

const conversationAnswer = sample(`{
  "id": "a688d36c-a85e-44af-bc02-4248c2c97622",
  "channel": {
    "name": "facebook",
    "id": "318efa04-7cc1-4200-988e-50699d0dd6e3"
  },
  "created_at": "2019-01-07T09:01:44.000Z",
  "contact": {
    "avatar_url": "https://assets.airy.co/AirySupportIcon.jpg",
    // optional
    "first_name": "Airy Support",
    // optional
    "last_name": null,
    // optional
    "id": "36d07b7b-e242-4612-a82c-76832cfd1026"
  },
  "tags": ["f339c325-8614-43cb-a70a-e83d81bf56fc"],
  "last_message": {
    "id": "{UUID}",
    "content": {
      "text": "{String}",
      "type": "text"
      // Determines the schema of the content
    },
    // typed source message model
    "delivery_state": "{String}",
    // delivery state of message, one of PENDING, FAILED, DELIVERED
    "sender_type": "{string/enum}",
    // See glossary
    "sent_at": "{string}"
    //'yyyy-MM-dd'T'HH:mm:ss.SSSZ' date in UTC form, to be localized by clients
  },
  "unread_message_count": 1
}`);

const channelsAnswer = sample(`{
  "data": [
    {
      "id": "channel-uuid-1",
      "name": "my page 1",
      "source": "facebook",
      "source_channel_id": "fb-page-id-1",
      "image_url": "http://example.org/avatar.jpeg" // optional
    },
    {
      "id": "channel-uuid-2",
      "name": "my page 2",
      "source": "facebook",
      "source_channel_id": "fb-page-id-2"
    }
  ]
}`);

const pageAnswer = sample(`{
  "data": [
    {
      "id": "a688d36c-a85e-44af-bc02-4248c2c97622",
    }
  ],
  "response_metadata": {
    "previous_cursor": "",
    "next_cursor": "",
    "filtered_total": 1,
    "total": 1
  }
}`);

/** What later clients look for beside the fields of 2020. */
const laterMessage = {
  delivery_state: 'delivered',
  from_contact: true,
  sender: { id: 'id', name: null, avatar_url: null },
  source: 'facebook',
  metadata: {},
};
const laterConversation = {
  metadata: { contact: { display_name: 'Ada', avatar_url: null }, tags: {}, unread_count: 1, state: 'OPEN' },
  channel: { source: 'facebook', source_channel_id: 'page-1', connected: true, metadata: { name: 'my page 1' } },
  contact: { info: {} },
  last_message: laterMessage,
};
const laterPage = { pagination_data: { previous_cursor: null, next_cursor: null, total: 1 } };

let app: App;
beforeAll(async () => {
  app = await startApp();
});

const agentToken = async (): Promise<string> => (await app.make.user()).token;
let made = 0;
function newEmail(): string {
  made += 1;
  return `grace-${made}@example.com`;
}

describe('Users', () => {
  it('users.signup: signs up with the sample request', async () => {
    const request = sample(`{
      "first_name": "Grace",
      "last_name": "Hopper",
      "password": "the_answer_is_42",
      "email": "grace@example.com"
    }`);
    const { status, body } = await app.rest('users.signup', { ...request, email: newEmail() });
    expect(status).toBe(200);
    expect(shapeFaults(sessionAnswer, body)).toEqual([]);
    expect(body).toMatchObject({ first_name: 'Grace', last_name: 'Hopper' });
    expect((await app.rest('conversations.list', {}, { token: body.token })).status).toBe(200);
  });

  it('users.login: answers as users.signup does', async () => {
    const email = newEmail();
    const request = sample(`{
      "email": "grace@example.com",
      "password": "avalidpassword"
    }`);
    const signedUp = await app.rest('users.signup', { ...request, email, first_name: 'Grace', last_name: 'Hopper' });
    const { status, body } = await app.rest('users.login', { ...request, email });
    expect(status).toBe(200);
    expect(shapeFaults(sessionAnswer, body)).toEqual([]);
    expect({ ...body, token: '' }).toEqual({ ...signedUp.body, token: '' });
  });

  it('users.password-reset: sets a new password, once', async () => {
    const { email } = await app.make.user({ email: newEmail() });
    const asked = await app.rest('users.request-password-reset', { email });
    expect([asked.status, asked.body]).toEqual([200, {}]);
    const mail = await until(async () => app.mails.find(({ to }) => to === email));
    const token = /^ey\S+$/m.exec(mail.text)![0];
    const request = {
      ...sample(`{
      token: "a-valid-reset-token",
      new_password: "i-hope-i-will-remember-this-one"
    }`),
      token,
    };

    const reset = await app.rest('users.password-reset', request);
    expect([reset.status, reset.body]).toEqual([200, sample('{}')]);
    expect((await app.rest('users.login', { email, password: request.new_password })).status).toBe(200);
    expect((await app.rest('users.password-reset', request)).status).toBe(400);
  });
});

describe('Conversations', () => {
  /** With all that a sample shows of a contact. */
  async function shownConversation() {
    const conversation = await app.make.conversation({ displayName: 'Ada Lovelace' });
    const contact = { avatar_url: 'https://assets.example.com/ada.jpg' };
    await app.make.webhook(conversation.source, {
      metadata: [{ namespace: 'conversation', source_id: conversation.sourceConversationId, metadata: { contact } }],
    });
    return conversation;
  }

  it('conversations.list: answers with the sample and with the fields of later versions', async () => {
    const token = await agentToken();
    const { id } = await shownConversation();
    const request = sample(`{
      "cursor": "next-page-uuid",
      "page_size": 2
    }`);
    const { status, body } = await app.rest('conversations.list', { ...request, cursor: id, page_size: 1 }, { token });
    expect(status).toBe(200);
    expect(body.data).toMatchObject([{ id }]);
    expect(shapeFaults(conversationsAnswer, body)).toEqual([]);
    expect(shapeFaults({ data: [laterConversation], ...laterPage }, body)).toEqual([]);
  });

  it('conversations.info: answers with the sample and with the fields of later versions', async () => {
    const { id, source, channel } = await shownConversation();
    const request = { ...sample(`{ "conversation_id": "a688d36c-a85e-44af-bc02-4248c2c97622" }`), conversation_id: id };
    const { status, body } = await app.rest('conversations.info', request, { token: await agentToken() });
    expect(status).toBe(200);
    expect(shapeFaults(conversationAnswer, body)).toEqual([]);
    expect(shapeFaults(laterConversation, body)).toEqual([]);
    expect(body.channel).toMatchObject({ id: channel.id, name: source.sourceId, metadata: { name: 'A channel' } });
    expect(body.contact).toMatchObject({ first_name: 'Ada', last_name: 'Lovelace', info: {} });
  });

  it('conversations.read: answers 202 with {} and resets the unread count', async () => {
    const token = await agentToken();
    const { id: conversation_id } = await app.make.conversation({ messages: [{}, {}] });
    const { status, body } = await app.rest('conversations.read', { conversation_id }, { token });
    expect([status, body]).toEqual([202, sample('{}')]);
    const info = await app.rest('conversations.info', { conversation_id }, { token });
    expect(info.body.unread_message_count).toBe(0);
  });

  for (const name of ['conversations.info', 'conversations.read', 'messages.list']) {
    it(`${name}: answers 404 for an unknown conversation`, async () => {
      const conversation_id = 'a688d36c-a85e-44af-bc02-4248c2c97622';
      const { status, body } = await app.rest(name, { conversation_id }, { token: await agentToken() });
      expect([status, typeof body.message]).toEqual([404, 'string']);
    });
  }
});

describe('Messages', () => {
  it('messages.list: sorts from oldest to latest', async () => {
    const { id } = await app.make.conversation({
      messages: [{ sent_at: 3, content: 'third' }, { sent_at: 1, content: { text: 'first' } }, { sent_at: 2 }],
    });
    const request = sample(`{
      "conversation_id": "4242-4242-4242-424242",
      "cursor": "next-page-uuid", // optional
      "page_size": 2 // optional
    }`);
    const { status, body } = await app.rest(
      'messages.list',
      { ...request, conversation_id: id, cursor: '' },
      { token: await agentToken() },
    );
    expect(status).toBe(200);
    expect(shapeFaults({ data: [messageAnswer], response_metadata: pageAnswer.response_metadata }, body)).toEqual([]);
    expect(shapeFaults({ data: [laterMessage], ...laterPage, pagination_data: { total: 1 } }, body)).toEqual([]);
    expect(body.data.map((message: Json) => message.sent_at)).toEqual([
      '1970-01-01T00:00:00.001Z',
      '1970-01-01T00:00:00.002Z',
    ]);
    expect(body.response_metadata).toMatchObject({ previous_cursor: '', total: 3, filtered_total: 3 });
  });

  it('messages.send: answers with the message as the caller sent it', async () => {
    const { id } = await app.make.conversation();
    const user = await app.make.user();
    const request = sample(`{
      "conversation_id": "a688d36c-a85e-44af-bc02-4248c2c97622",
      "message": {
        "text": "{String}"
      }
    }`);
    const { status, body } = await app.rest(
      'messages.send',
      { ...request, conversation_id: id },
      { token: user.token },
    );
    expect(status).toBe(200);
    expect(shapeFaults(messageAnswer, body)).toEqual([]);
    expect(shapeFaults(laterMessage, body)).toEqual([]);
    expect(body).toMatchObject({
      content: { text: '{String}', type: 'text' },
      state: 'pending',
      delivery_state: 'pending',
      sender_type: 'app_user',
      from_contact: false,
      sender: { id: user.id, name: 'Grace Hopper' },
    });
  });

  it('messages.send: answers 404 for an unknown conversation and 403 for a disconnected channel', async () => {
    const token = await agentToken();
    const unknown = { conversation_id: 'a688d36c-a85e-44af-bc02-4248c2c97622', message: { text: 'Hello' } };
    expect((await app.rest('messages.send', unknown, { token })).status).toBe(404);
    const { id, channel } = await app.make.conversation();
    await app.rest('channels.disconnect', { channel_id: channel.id }, await app.make.admin());
    const { status } = await app.rest('messages.send', { ...unknown, conversation_id: id }, { token });
    expect(status).toBe(403);
  });
});

describe('Channels', () => {
  it('channels.list: answers with the sample and with the fields of later versions', async () => {
    const source = await app.make.source();
    await app.rest(
      'sources.channels.create',
      { source_channel_id: 'fb-page-id-1', name: 'my page 1', metadata: { image_url: 'http://example.org/a.jpeg' } },
      source,
    );
    await app.make.channel(source);
    const { status, body } = await app.rest(
      'channels.list',
      { source: source.sourceId },
      { token: await agentToken() },
    );
    expect(status).toBe(200);
    expect(body.data).toHaveLength(2);
    expect(shapeFaults(channelsAnswer, body)).toEqual([]);
    expect(body.data[0]).toMatchObject({
      name: 'my page 1',
      source: source.sourceId,
      source_id: source.sourceId,
      image_url: 'http://example.org/a.jpeg',
      connected: true,
      metadata: { name: 'my page 1', image_url: 'http://example.org/a.jpeg' },
    });
    expect(body.data[1]).not.toHaveProperty('image_url');
  });

  it('channels.disconnect: answers 200, then 202, and 400 for an unknown channel', async () => {
    const { token } = await app.make.admin();
    const request = sample(`{ "channel_id": "uuid" }`);
    const { id } = await app.make.channel(await app.make.source());
    const disconnect = async (channel_id: string) => {
      const { status, body } = await app.rest('channels.disconnect', { ...request, channel_id }, { token });
      return [status, body];
    };
    expect(await disconnect(id)).toEqual([200, {}]);
    expect(await disconnect(id)).toEqual([202, {}]);
    expect((await disconnect('a688d36c-a85e-44af-bc02-4248c2c97622'))[0]).toBe(400);
  });
});

it('Pagination: always answers with data and response_metadata', async () => {
  const token = await agentToken();
  const { id: conversation_id } = await app.make.conversation();
  for (const [name, request] of [
    ['conversations.list', {}],
    ['messages.list', { conversation_id }],
  ] as const) {
    const { body } = await app.rest(name, request, { token });
    expect(shapeFaults(pageAnswer, body)).toEqual([]);
  }
});
