import { beforeAll, describe, expect, it } from '@jest/globals';
import { sourceThingId } from '../../src/domain/ids.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';

// "sources.webhook, in detail" of the legacy contract: what is taken, and what becomes of it.

let app: App;
let caller: { token: string };
beforeAll(async () => {
  app = await startApp();
  caller = { token: (await app.make.user()).token };
});

const info = async (conversation_id: string): Promise<Json> =>
  (await app.rest('conversations.info', { conversation_id }, caller)).body;
const messagesOf = async (conversation_id: string): Promise<Json[]> =>
  (await app.rest('messages.list', { conversation_id, page_size: 100 }, caller)).body.data;

/** A source with a connected channel, and a way to send it messages and metadata of one conversation. */
async function newPlace() {
  const source = await app.make.source();
  const channel = await app.make.channel(source, 'channel-1');
  const send = async (...messages: Json[]): Promise<Json[]> =>
    (await app.make.webhook(source, { messages: messages.map((one) => app.make.webhookMessage(one)) })).data;
  const describeAs = (metadata: Json, namespace = 'conversation', source_id = 'conversation-1') =>
    app.make.webhook(source, { metadata: [{ namespace, source_id, metadata }] });
  return { source, channel, send, describeAs };
}

/** The one conversation of a source, by our id. */
const conversationOf = (source: MadeSource, sourceConversationId = 'conversation-1'): string =>
  sourceThingId(source.sourceId, sourceConversationId);

describe('Message fields', () => {
  it('sent_at: a number and digits are epoch milliseconds, a text is ISO 8601 with a zone', async () => {
    const { source, send } = await newPlace();
    const forms: [Json, string][] = [
      [1603661094560, '2020-10-25T21:24:54.560Z'],
      ['1603661094561', '2020-10-25T21:24:54.561Z'],
      ['2020-10-25T21:24:54.562Z', '2020-10-25T21:24:54.562Z'],
      ['2020-10-25T22:24:54.563+01:00', '2020-10-25T21:24:54.563Z'],
      ['2020-10-25T21:24:55Z', '2020-10-25T21:24:55.000Z'],
      ['2020-10-25T21:25Z', '2020-10-25T21:25:00.000Z'],
      ['2024-02-29T00:00:00.123456Z', '2024-02-29T00:00:00.123Z'],
    ];
    await send(...forms.map(([sent_at]) => ({ sent_at })));
    const stored = await messagesOf(conversationOf(source));
    expect(stored.map(({ sent_at }) => sent_at)).toEqual(forms.map(([, shown]) => shown));
  });

  it('content: any JSON, kept as it is; an object with text and without type gets "type": "text"', async () => {
    const { source, send } = await newPlace();
    const deep = JSON.parse(`${'['.repeat(50)}${']'.repeat(50)}`);
    const contents: [Json, Json?][] = [
      ['a plain text'],
      [''],
      [0],
      [-1.5e-7],
      [false],
      [[]],
      [{}],
      [['a', { b: null }]],
      [deep],
      [{ text: 'Hello world' }, { text: 'Hello world', type: 'text' }],
      [{ text: 'Hello', type: 'fancy' }],
      [{ attachment: { url: 'https://example.com/a.png' }, '': 1, __proto__x: 'ü\u2028😀' }],
    ];
    await send(...contents.map(([content], index) => ({ content, sent_at: index })));
    const shown = (await messagesOf(conversationOf(source))).map(({ content }) => content);
    expect(shown).toEqual(contents.map(([content, as]) => as ?? content));
  });

  it('from_contact: missing and null mean false', async () => {
    const { source, send } = await newPlace();
    await send({ from_contact: undefined, sent_at: 1 }, { from_contact: null, sent_at: 2 }, { sent_at: 3 });
    const shown = await messagesOf(conversationOf(source));
    expect(shown.map(({ sender_type, from_contact }) => [sender_type, from_contact])).toEqual([
      ['source_user', false],
      ['source_user', false],
      ['source_contact', true],
    ]);
  });

  it('ids: up to 512 characters of any script', async () => {
    const { send } = await newPlace();
    const id = 'é'.repeat(512);
    const [item] = await send({ source_message_id: id, source_conversation_id: id, source_sender_id: id });
    expect(item).toMatchObject({ source_message_id: id, status: 'created' });
  });
});

describe('Batch', () => {
  it('tells for each item, in order, whether it was created or a duplicate', async () => {
    const { send } = await newPlace();
    const first = await send({ source_message_id: 'a' });
    expect(await send({ source_message_id: 'b' }, { source_message_id: 'a' }, { source_message_id: 'b' })).toEqual([
      { source_message_id: 'b', id: expect.any(String), status: 'created' },
      { ...first[0], status: 'duplicate' },
      { source_message_id: 'b', id: expect.any(String), status: 'duplicate' },
    ]);
  });

  it('either list may be missing, null or empty', async () => {
    const { source } = await newPlace();
    for (const batch of [undefined, {}, { messages: null, metadata: null }, { messages: [] }, { metadata: [] }]) {
      const { status, body } = await app.rest('sources.webhook', batch, source);
      expect([batch, status, body]).toEqual([batch, 200, { data: [] }]);
    }
  });

  it('takes 1,000 messages', async () => {
    const { source, send } = await newPlace();
    const items = await send(...Array.from({ length: 1_000 }, (_, index) => ({ content: 'x', sent_at: index })));
    expect(items).toHaveLength(1_000);
    const { body } = await app.rest('messages.list', { conversation_id: conversationOf(source) }, caller);
    expect(body.response_metadata.total).toBe(1_000);
  });

  it('the source of all data comes from the token, never from the body', async () => {
    const { source, send } = await newPlace();
    const other = await newPlace();
    await send({ source_id: other.source.sourceId, source: other.source.sourceId });
    expect((await info(conversationOf(source))).channel.source).toBe(source.sourceId);
    expect((await info(conversationOf(other.source))).channel).toBeUndefined();
  });
});

describe('State, unread count, order', () => {
  it('stores messages as delivered; only those of the contact raise the unread count', async () => {
    const { source, send } = await newPlace();
    await send({ sent_at: 1 }, { from_contact: false, sent_at: 2 }, { sent_at: 3 });
    const id = conversationOf(source);
    expect((await messagesOf(id)).map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered']);
    expect(await info(id)).toMatchObject({ unread_message_count: 2, metadata: { unread_count: 2 } });
  });

  it('sorts by sent_at whatever order they arrive in; the last message is the latest', async () => {
    const { source, send } = await newPlace();
    await send({ source_message_id: 'c', sent_at: 3000, content: 'c' });
    await send({ source_message_id: 'a', sent_at: 1000, content: 'a' }, { sent_at: 4000, content: 'd' });
    await send({ source_message_id: 'b', sent_at: 2000, content: 'b' });
    const id = conversationOf(source);
    expect((await messagesOf(id)).map(({ content }) => content)).toEqual(['a', 'b', 'c', 'd']);
    expect((await info(id)).last_message.content).toBe('d');
  });

  it('keeps two messages of one instant, in the order of their arrival', async () => {
    const { source, send } = await newPlace();
    await send({ sent_at: 5, content: 'first' }, { sent_at: 5, content: 'second' });
    await send({ sent_at: 5, content: 'third' });
    const id = conversationOf(source);
    expect((await messagesOf(id)).map(({ content }) => content)).toEqual(['first', 'second', 'third']);
    expect((await info(id)).last_message.content).toBe('third');
  });
});

describe('Duplicates', () => {
  it('the first write wins: no second unread, no second event', async () => {
    const { source, send } = await newPlace();
    const { eventCursor: after } = await app.data('{ eventCursor }', {}, caller.token);
    await send({ source_message_id: 'same', content: 'first' });
    await send({ source_message_id: 'same', content: 'second', from_contact: false });
    await send({ source_message_id: 'other', content: 'after', sent_at: 1_600_000_000_001 });
    const id = conversationOf(source);
    expect((await messagesOf(id)).map(({ content }) => content)).toEqual(['first', 'after']);
    expect((await info(id)).unread_message_count).toBe(2);

    const events = app.subscribe(
      `subscription ($id: ID!, $after: Cursor!) { conversation(id: $id, after: $after) {
        ... on MessageEvent { created message { raw } } } }`,
      { token: caller.token, variables: { id, after } },
    );
    const told: Json[] = [];
    while (told.at(-1)?.message?.raw !== 'after') told.push(await events.next());
    events.close();
    expect(told.filter((event) => event.created).map((event) => event.message.raw)).toEqual(['first', 'after']);
  });

  it('named with another conversation it is the same message, and makes no conversation', async () => {
    const { source, send } = await newPlace();
    const [first] = await send({ source_message_id: 'same' });
    const again = await send({ source_message_id: 'same', source_conversation_id: 'conversation-2' });
    expect(again).toEqual([{ ...first, status: 'duplicate' }]);
    const conversation_id = conversationOf(source, 'conversation-2');
    expect((await app.rest('conversations.info', { conversation_id }, caller)).status).toBe(404);
  });

  it('of one message sent twenty times at once one is created', async () => {
    const { source, send } = await newPlace();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send({ source_message_id: 'same' })));
    expect(answers.flat().filter(({ status }) => status === 'created')).toHaveLength(1);
    expect((await info(conversationOf(source))).unread_message_count).toBe(1);
  });
});

describe('Metadata', () => {
  it('keeps nested objects; newer keys replace, null removes, dots nest', async () => {
    const { source, send, describeAs } = await newPlace();
    await send({});
    await describeAs({ ad: { id: 1, tags: ['x'] }, plan: 'free', region: { city: 'Köln' } });
    await describeAs({ ad: { id: 'new' }, plan: null, 'region.country': 'DE', on: true });
    const { metadata } = await info(conversationOf(source));
    expect(metadata).toMatchObject({
      ad: { id: 'new', tags: ['x'] },
      region: { city: 'Köln', country: 'DE' },
      on: true,
    });
    expect(metadata).not.toHaveProperty('plan');
  });

  it('a later scalar beats an earlier subtree, and the other way round', async () => {
    const { source, send, describeAs } = await newPlace();
    await send({});
    await describeAs({ ad: { id: 1 }, plan: 'free' });
    await describeAs({ ad: 5, 'plan.name': 'pro' });
    expect((await info(conversationOf(source))).metadata).toMatchObject({ ad: 5, plan: { name: 'pro' } });
  });

  it('of a message is shown with it', async () => {
    const { source, send, describeAs } = await newPlace();
    await send({ source_message_id: 'm' });
    await describeAs({ reactions: { thumbs: 2 } }, 'message', 'm');
    expect((await messagesOf(conversationOf(source)))[0].metadata).toEqual({ reactions: { thumbs: 2 } });
  });

  it('that comes before its conversation or message is kept and applied when they come', async () => {
    const { source, send, describeAs } = await newPlace();
    await describeAs({ plan: 'free', ad: { id: 1 } });
    await describeAs({ plan: 'pro' });
    await describeAs({ seen: true }, 'message', 'm');
    await send({ source_message_id: 'm' });
    const id = conversationOf(source);
    expect((await info(id)).metadata).toMatchObject({ plan: 'pro', ad: { id: 1 } });
    expect((await messagesOf(id))[0].metadata).toEqual({ seen: true });
  });

  it('of the same batch finds the messages of that batch', async () => {
    const { source } = await newPlace();
    await app.make.webhook(source, {
      messages: [app.make.webhookMessage({ source_message_id: 'm', content: 'a plain text' })],
      metadata: [
        { namespace: 'conversation', source_id: 'conversation-1', metadata: { plan: 'pro' } },
        { namespace: 'message', source_id: 'm', metadata: { seen: true } },
      ],
    });
    const id = conversationOf(source);
    const [message] = await messagesOf(id);
    const shown = await info(id);
    expect([shown.metadata.plan, message.metadata, message.content]).toEqual(['pro', { seen: true }, 'a plain text']);
    expect(shown.last_message.id).toBe(message.id);
  });
});

describe('Contact', () => {
  const graphContact = async (id: string) =>
    (
      await app.data(
        'query ($id: ID!) { conversation(id: $id) { contact { legacyId displayName } } }',
        { id },
        caller.token,
      )
    ).conversation.contact;

  it('is null, with the default name in REST, until its first message', async () => {
    const { source, send } = await newPlace();
    await send({ from_contact: false });
    const id = conversationOf(source);
    const segment = source.sourceId.split('.').at(-1)!;
    const first_name = segment.charAt(0).toUpperCase() + segment.slice(1);
    const last_name = id.slice(-5);
    expect(await graphContact(id)).toBeNull();
    expect(await info(id)).toMatchObject({
      contact: { id: null, first_name, last_name },
      metadata: { contact: { display_name: `${first_name} ${last_name}` } },
    });
    await send({});
    expect((await info(id)).contact).toMatchObject({ id: (await graphContact(id)).legacyId, first_name, last_name });
  });

  it('the default name is the last segment of the source, with a capital', async () => {
    const source = await app.make.source({ sourceId: 'twilio.sms' });
    const { id } = await app.make.conversation({ source });
    const { contact, metadata, last_message } = await info(id);
    expect([contact.first_name, contact.last_name]).toEqual(['Sms', id.slice(-5)]);
    expect([metadata.contact.display_name, last_message.sender.name]).toEqual(Array(2).fill(`Sms ${id.slice(-5)}`));
  });

  it('is one for each sender of a source, found again in the next conversation', async () => {
    const { source, send } = await newPlace();
    await send(
      { source_conversation_id: 'a', source_sender_id: 'ada' },
      { source_conversation_id: 'b', source_sender_id: 'ada' },
      { source_conversation_id: 'c', source_sender_id: 'bob' },
    );
    const contacts = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => (await info(conversationOf(source, name))).contact.id),
    );
    expect(contacts[0]).toBe(contacts[1]);
    expect(contacts[2]).not.toBe(contacts[0]);
    const other = await newPlace();
    await other.send({ source_sender_id: 'ada' });
    expect((await info(conversationOf(other.source))).contact.id).not.toBe(contacts[0]);
  });

  it('is named by the metadata of its conversation, at once or as soon as there is one', async () => {
    const named: [Json, Json][] = [
      [{ display_name: 'Margaret Hamilton' }, { first_name: 'Margaret', last_name: 'Hamilton' }],
      [{ display_name: 'Anna Maria Schmidt' }, { first_name: 'Anna Maria', last_name: 'Schmidt' }],
      [{ display_name: 'Cher' }, { first_name: 'Cher', last_name: null }],
      [
        { first_name: 'Ada', last_name: 'King' },
        { first_name: 'Ada', last_name: 'King' },
      ],
      [
        { display_name: 'Countess', first_name: 'Ada' },
        { first_name: 'Ada', last_name: null },
      ],
    ];
    for (const [contact, shown] of named) {
      for (const when of ['before', 'after'] as const) {
        const { source, send, describeAs } = await newPlace();
        if (when === 'after') await send({});
        await describeAs({ contact: { ...contact, avatar_url: 'https://example.com/a.png' } });
        if (when === 'before') await send({});
        const { contact: got, metadata } = await info(conversationOf(source));
        expect([contact, when, got]).toEqual([
          contact,
          when,
          { ...got, ...shown, avatar_url: 'https://example.com/a.png' },
        ]);
        expect(metadata.contact.display_name).toBe(contact.display_name ?? 'Ada King');
      }
    }
  });

  it('what a source says of it beyond its name is kept', async () => {
    const { source, send, describeAs } = await newPlace();
    await send({});
    await describeAs({ contact: { display_name: 'Ada King', phone: '+49 221 1' } });
    const { metadata } = await info(conversationOf(source));
    expect(metadata.contact).toEqual({ display_name: 'Ada King', avatar_url: null, phone: '+49 221 1' });
  });
});
