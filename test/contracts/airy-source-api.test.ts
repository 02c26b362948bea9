import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { sample, shapeFaults } from '../support/shape.ts';
import { until } from '../support/until.ts';

// The samples are those of Airy's Source document (2021), as it prints them.
const sourceRequest = sample(`{
  "source_id": "my-crm-connector",
  "action_endpoint": "http://my-app.com/action", // Optional
  "name": "Human readable name for this source", // Optional
  "image_url": "http://example.org/sourcIcon.jpg" // Optional
}`);
const sourceAnswer = sourceRequest;

const createdSourceAnswer = sample(`{
  "source_id": "my-crm-connector",
  "token": "<jwt token>",
  "action_endpoint": "http://my-app.com/action", // Optional
  "name": "Human readable name for this source", // Optional
  "image_url": "http://example.org/sourcIcon.jpg" // Optional
}`);

const channelRequest = sample(`{
  "source_channel_id": "Source identifier of the channel in use",
  "name": "My source channel", // required
  "metadata": {
    "image_url": "https://example.com/custom-image.jpg", // optional
    "token": "authentication string to use in your source app" // optional
  }
}`);

const channelAnswer = sample(`{
  "id": "1f679227-76c2-4302-bb12-703b2adb0f66", // Airy channel id
  "source_id": "my-source",
  "source_channel_id": "Source identifier of the channel in use",
  "metadata": {
    "name": "My source channel",
    "image_url": "https://example.com/custom-image.jpg",
    "token": "authentication string to use in your source app"  // optional
  },
  "connected": true
}`);

const channelsAnswer = sample(`{
  data: [
    {
      "id": "1f679227-76c2-4302-bb12-703b2adb0f66", // Airy channel id
      "source_id": "my-source",
      "source_channel_id": "Source identifier of the channel in use",
      "metadata": {
        "name": "My source channel",
        "image_url": "https://example.com/custom-image.jpg" // optional
      },
      "connected": true
    }
  ]
}`);

const webhookRequest = sample(`{
  "messages": [
    {
      "source_message_id": "source message identifier",
      "source_conversation_id": "source conversation identifier",
      "source_channel_id": "source channel identifier",
      "source_sender_id": "Unique identifier of the sender of the message",
      "content": {"text": "Hello world"}, // Source specific content node (can be a plain string)
      "from_contact": true,
      "sent_at": 1603661094560 // Unix timestamp of event or ISO8601 date string
    }
  ],
  "metadata": [
    {
      "namespace": "conversation", // One of: conversation, message
      "source_id": "conversation id", // Source message or conversation id
      "metadata": {
        "contact": {
          "display_name": "Margaret Hamilton"
        }
      }
    }
  ]
}`);

const actionRequest = sample(`{
  "type": "message.send",
  "payload": {
    "message": {
      "id": "uuid", // Airy message id
      "source_recipient_id": "source recipient identifier", // Depending on the source this can be the same as the source conversation id
      "content": {"text": "Hello world"},
      "sent_at": "1603661094560" // Unix timestamp of event
    },
    "conversation": {
      // Optional
      "id": "uuid", // Airy conversation id
      "channel_id": "uuid", // Airy channel id
      "source_conversation_id": "source conversation identifier",
      "created_at": "2021-08-31T09:27:46.528Z" //
    }
  }
}`);

let app: App;
let endpoint: ActionEndpoint;
beforeAll(async () => {
  endpoint = await startActionEndpoint();
  app = await startApp({ settings: { outboundAllow: ['127.0.0.0/8'] } });
});

let made = 0;
function newName(): string {
  made += 1;
  return `crm-connector-${made}`;
}

/** Makes a source by the document's sample, under a name of its own. */
async function createSampleSource(): Promise<{ source_id: string; token: string; [field: string]: Json }> {
  const { status, body } = await app.rest(
    'sources.create',
    { ...sourceRequest, source_id: newName() },
    await app.make.admin(),
  );
  expect(status).toBe(200);
  return body;
}

describe('Managing sources', () => {
  it('sources.create: answers with the sample and the signing secret', async () => {
    const body = await createSampleSource();
    expect(shapeFaults(createdSourceAnswer, body)).toEqual([]);
    expect(body).toEqual({
      ...sourceRequest,
      source_id: body.source_id,
      token: expect.stringMatching(/^ey/),
      signing_secret: expect.stringMatching(/^whsec_/),
    });
  });

  it('sources.create: leaves out what has no value, and answers 409 when the name is taken', async () => {
    const admin = await app.make.admin();
    const source_id = newName();
    const { body } = await app.rest('sources.create', { source_id }, admin);
    expect(Object.keys(body).sort()).toEqual(['signing_secret', 'source_id', 'token']);
    const again = await app.rest('sources.create', { source_id }, admin);
    expect([again.status, again.body]).toEqual([409, { message: 'Source already exists' }]);
  });

  it('sources.list: answers with the sample, without secrets', async () => {
    const { token: _token, signing_secret: _secret, ...shown } = await createSampleSource();
    const { status, body } = await app.rest('sources.list', undefined, await app.make.admin());
    expect(status).toBe(200);
    const listed = body.data.find(({ source_id }: Json) => source_id === shown.source_id);
    expect(shapeFaults(sourceAnswer, listed)).toEqual([]);
    expect(listed).toEqual(shown);
  });

  it('sources.update: answers with the sample', async () => {
    const { source_id } = await createSampleSource();
    const request = { ...sourceRequest, source_id, name: 'Another name' };
    const { status, body } = await app.rest('sources.update', request, await app.make.admin());
    expect(status).toBe(200);
    expect(shapeFaults(sourceAnswer, body)).toEqual([]);
    expect(body).toEqual(request);
  });

  it('sources.update: a missing field stays, null clears, an unknown source is 404', async () => {
    const admin = await app.make.admin();
    const { source_id } = await createSampleSource();
    const { body } = await app.rest('sources.update', { source_id, name: null }, admin);
    const { name: _name, ...rest } = sourceRequest;
    expect(body).toEqual({ ...rest, source_id });
    expect((await app.rest('sources.update', { source_id: newName(), name: 'x' }, admin)).status).toBe(404);
  });

  it('sources.delete: answers 202, for an unknown source too', async () => {
    const admin = await app.make.admin();
    const { source_id } = await createSampleSource();
    for (const name of [source_id, source_id, newName()]) {
      const { status, body } = await app.rest('sources.delete', { source_id: name }, admin);
      expect([status, body]).toEqual([202, {}]);
    }
    const { body } = await app.rest('sources.list', {}, admin);
    expect(body.data.map((source: Json) => source.source_id)).not.toContain(source_id);
  });
});

describe('Manage source channels', () => {
  it('sources.channels.create: answers 201 with the sample, the token included', async () => {
    const { source_id, token } = await createSampleSource();
    const { status, body } = await app.rest('sources.channels.create', channelRequest, { token });
    expect(status).toBe(201);
    expect(shapeFaults(channelAnswer, body)).toEqual([]);
    expect(body).toMatchObject({
      source: source_id,
      source_id,
      source_channel_id: channelRequest.source_channel_id,
      connected: true,
      metadata: { ...channelRequest.metadata, name: 'My source channel' },
    });
  });

  it('sources.channels.create: repeating it updates and reconnects, the id stays', async () => {
    const { token } = await createSampleSource();
    const first = await app.rest('sources.channels.create', channelRequest, { token });
    await app.rest('sources.channels.disconnect', { channel_id: first.body.id }, { token });
    const again = { ...channelRequest, name: 'Renamed', metadata: { region: { city: 'Köln' } } };
    const { status, body } = await app.rest('sources.channels.create', again, { token });
    expect(status).toBe(201);
    expect(body).toMatchObject({ id: first.body.id, connected: true });
    expect(body.metadata).toEqual({ name: 'Renamed', region: { city: 'Köln' } });
  });

  it('sources.channels.list: answers with the sample, without the token', async () => {
    const { token } = await createSampleSource();
    const { body: created } = await app.rest('sources.channels.create', channelRequest, { token });
    const { status, body } = await app.rest('sources.channels.list', undefined, { token });
    expect(status).toBe(200);
    expect(shapeFaults(channelsAnswer, body)).toEqual([]);
    const { token: _token, ...metadata } = created.metadata;
    expect(body.data).toEqual([{ ...created, metadata }]);
  });

  it('sources.channels.disconnect: answers 204, twice, and 403 for a foreign and for an unknown channel', async () => {
    const own = await app.make.source();
    const { id } = await app.make.channel(own);
    const foreign = await app.make.channel(await app.make.source());
    const disconnect = async (channel_id: string) => {
      const { status, text } = await app.rest('sources.channels.disconnect', { channel_id }, own);
      return status === 204 ? [status, text] : [status];
    };
    expect(await disconnect(id)).toEqual([204, '']);
    expect(await disconnect(id)).toEqual([204, '']);
    expect(await disconnect(foreign.id)).toEqual([403]);
    expect(await disconnect('a688d36c-a85e-44af-bc02-4248c2c97622')).toEqual([403]);
    expect((await app.rest('sources.channels.list', {}, own)).body.data).toEqual([]);
  });
});

describe('Inbound webhook', () => {
  it('sources.webhook: takes the sample and tells what became of each message', async () => {
    const source = await app.make.source();
    await app.make.channel(source, 'source channel identifier');
    const { status, body } = await app.rest('sources.webhook', webhookRequest, source);
    expect(status).toBe(200);
    expect(body).toEqual({
      data: [{ source_message_id: 'source message identifier', id: expect.any(String), status: 'created' }],
    });
  });

  it('makes the ids that clients compute', async () => {
    const { token } = await app.make.source({ sourceId: 'my-crm-connector' });
    const channel = await app.rest('sources.channels.create', { source_channel_id: 'page-1', name: 'A' }, { token });
    const { body } = await app.rest(
      'sources.webhook',
      {
        messages: [
          app.make.webhookMessage({
            source_message_id: 'msg-1',
            source_conversation_id: 'conv-1',
            source_channel_id: 'page-1',
          }),
        ],
      },
      { token },
    );
    expect(channel.body.id).toBe('c30ccd82-d3f9-5d4c-aeaa-14da8f5d0724');
    expect(body.data[0].id).toBe('b7f7011f-129e-5f0f-97d9-73612df55f3d');
    const conversation_id = '8af3d7f3-8bef-554e-b191-39c1ec6cc88e';
    expect((await app.rest('conversations.info', { conversation_id }, await app.make.admin())).status).toBe(200);
  });
});

describe('Action endpoint', () => {
  it('message.send: posts the sample, signed with the source token and by Standard Webhooks', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    const conversation = await app.make.conversation({ source });
    const sent = await app.rest(
      'messages.send',
      { conversation_id: conversation.id, message: { text: 'Grüße aus Köln' } },
      await app.make.admin(),
    );
    const call = await until(async () => route.calls[0]);

    expect(call.headers['content-type']).toBe('application/json');
    expect(shapeFaults(actionRequest, call.body)).toEqual([]);
    expect(call.body).toEqual({
      type: 'message.send',
      payload: {
        message: {
          id: sent.body.id,
          source_recipient_id: conversation.sourceConversationId,
          content: { text: 'Grüße aus Köln' },
          sent_at: sent.body.sent_at,
        },
        conversation: {
          id: conversation.id,
          channel_id: conversation.channel.id,
          source_channel_id: conversation.channel.sourceChannelId,
          source_conversation_id: conversation.sourceConversationId,
          created_at: '2020-09-13T12:26:40.000Z',
        },
      },
    });
    const expected = createHmac('sha256', source.token).update(call.raw).digest('hex').toLowerCase();
    expect(call.headers['x-airy-content-signature']).toBe(expected);
    const headers = call.headers as Record<string, string>;
    expect(new Webhook(source.signingSecret).verify(call.raw, headers)).toEqual(call.body);
  });

  it('success: the message is delivered, its metadata and the source id are kept', async () => {
    const answer = { source_message_id: 'Source identifier of the sent message', metadata: { seen_by: ['Ada'] } };
    const route = endpoint.route(() => ({ body: answer }));
    const message = await sendThrough(route.url);
    expect(message).toMatchObject({ state: 'delivered', delivery_state: 'delivered' });
    expect(message.metadata).toEqual({ seen_by: ['Ada'], source: { id: answer.source_message_id } });
  });

  it('failure: the message has failed, with the error in its metadata', async () => {
    const failure = sample(`{
      "error": "The content you attempted to send is malformed" // example message that will be included in the message metadata
    }`);
    const route = endpoint.route(() => ({ status: 422, body: failure }));
    const message = await sendThrough(route.url);
    expect(message).toMatchObject({ state: 'failed', delivery_state: 'failed', metadata: failure });
    expect(route.calls).toHaveLength(1);
  });
});

/** Sends a message by a source with this action endpoint. @returns it, as it is when it is no longer pending */
async function sendThrough(actionEndpoint: string): Promise<Json> {
  const admin = await app.make.admin();
  const { id: conversation_id } = await app.make.conversation({ source: await app.make.source({ actionEndpoint }) });
  const { body } = await app.rest('messages.send', { conversation_id, message: { text: 'Hello world' } }, admin);
  return until(async () => {
    const list = await app.rest('messages.list', { conversation_id }, admin);
    const message = list.body.data.find(({ id }: Json) => id === body.id);
    return message.state !== 'pending' && message;
  });
}
