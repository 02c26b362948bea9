import { beforeAll, describe, expect, it } from '@jest/globals';
import { sourceThingId } from '../../src/domain/ids.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';

// "sources.webhook, in detail" of the legacy contract: what is refused, and that nothing of it is stored.

let app: App;
let caller: { token: string };
beforeAll(async () => {
  app = await startApp();
  caller = { token: (await app.make.user()).token };
});

async function newPlace() {
  const source = await app.make.source();
  const channel = await app.make.channel(source, 'channel-1');
  return { source, channel };
}

/** What a refused batch answers; checks that a good message beside the bad ones was not stored. */
async function refused(source: MadeSource, batch: { messages?: Json[]; metadata?: Json[] }): Promise<Json> {
  const good = app.make.webhookMessage({ source_conversation_id: 'good' });
  const { status, body, text } = await app.rest(
    'sources.webhook',
    { ...batch, messages: [...(batch.messages ?? []), good] },
    source,
  );
  expect([status, typeof body?.message, text.length < 10_000]).toEqual([400, 'string', true]);
  expect(await isStored(source, 'good')).toBe(false);
  return body;
}

async function isStored(source: MadeSource, sourceConversationId: string): Promise<boolean> {
  const conversation_id = sourceThingId(source.sourceId, sourceConversationId);
  return (await app.rest('conversations.info', { conversation_id }, caller)).status === 200;
}

/** The faults of one message that differs from a good one by `of`. */
async function faultsOf(source: MadeSource, of: Json): Promise<Json[]> {
  return (await refused(source, { messages: [app.make.webhookMessage(of)] })).errors;
}

describe('Message fields', () => {
  it('sent_at in another form is refused, with what would be right', async () => {
    const { source } = await newPlace();
    for (const sent_at of [
      undefined,
      null,
      '',
      'yesterday',
      '2020-10-25',
      '2020-10-25T21:24:54',
      '2020-10-25 21:24:54Z',
      '25.10.2020',
      'Sun, 25 Oct 2020 21:24:54 GMT',
      '2021-02-29T00:00:00Z',
      '2021-04-31T00:00:00Z',
      '2020-13-01T00:00:00Z',
      '2020-10-25T25:00:00Z',
      '2020-10-25T21:24:54+25:00',
      '1603661094560.5',
      '-1',
      '1e12',
      ' 1603661094560',
      1603661094560.5,
      -1,
      1e20,
      253402300800000,
      true,
      [1603661094560],
      { at: 1603661094560 },
    ]) {
      const errors = await faultsOf(source, { sent_at });
      expect([sent_at, errors]).toEqual([sent_at, [{ path: 'messages[0].sent_at', message: expect.any(String) }]]);
    }
    const [fault] = await faultsOf(source, { sent_at: 'yesterday' });
    expect(fault.message).toBe('must be epoch milliseconds or ISO 8601 with a zone, got "yesterday"');
  });

  it('a missing, empty, too long or mistyped id is refused', async () => {
    const { source } = await newPlace();
    for (const field of ['source_message_id', 'source_conversation_id', 'source_channel_id', 'source_sender_id']) {
      for (const value of [undefined, null, '', 'x'.repeat(513), 5, ['a'], { a: 1 }, true]) {
        const errors = await faultsOf(source, { [field]: value });
        expect([field, value, errors]).toEqual([
          field,
          value,
          [{ path: `messages[0].${field}`, message: expect.any(String) }],
        ]);
      }
    }
  });

  it('content that is missing, null or over 64 KiB is refused', async () => {
    const { source } = await newPlace();
    for (const content of [undefined, null, 'x'.repeat(65_536), { text: 'ü'.repeat(32_768) }]) {
      const errors = await faultsOf(source, { content });
      expect(errors).toEqual([{ path: 'messages[0].content', message: expect.any(String) }]);
    }
    const largest = 'x'.repeat(65_534);
    await app.make.webhook(source, { messages: [app.make.webhookMessage({ content: largest })] });
    const { body } = await app.rest(
      'conversations.info',
      { conversation_id: sourceThingId(source.sourceId, 'conversation-1') },
      caller,
    );
    expect(body.last_message.content).toBe(largest);
  });

  it('content that nests too deep, or holds what cannot be stored, is refused', async () => {
    const { source } = await newPlace();
    const message = JSON.stringify(app.make.webhookMessage({ content: 'HERE' }));
    for (const content of [`${'['.repeat(65)}${']'.repeat(65)}`, '"\\u0000"', '"\\ud800"', '{"\\u0000":1}', '1e999']) {
      const batch = `{"messages":[${message.replace('"HERE"', content)}]}`;
      const { status, body } = await app.rest('sources.webhook', batch, source);
      expect([content, status, typeof body.message]).toEqual([content, 400, 'string']);
    }
    expect(await isStored(source, 'conversation-1')).toBe(false);
  });

  it('from_contact must be true or false', async () => {
    const { source } = await newPlace();
    for (const from_contact of ['true', 1, {}]) {
      const errors = await faultsOf(source, { from_contact });
      expect(errors).toEqual([{ path: 'messages[0].from_contact', message: expect.stringMatching('true or false') }]);
    }
  });
});

describe('Batch', () => {
  it('lists all faults up to 20, each with its place; nothing is stored', async () => {
    const { source } = await newPlace();
    const good = app.make.webhookMessage();
    const { errors, message } = await refused(source, {
      messages: [
        good,
        app.make.webhookMessage({ source_sender_id: 5 }),
        good,
        app.make.webhookMessage({ sent_at: 'yesterday', content: undefined }),
      ],
      metadata: [{ namespace: 'conversation', source_id: 'conversation-1', metadata: 'text' }],
    });
    expect(errors.map((fault: Json) => fault.path)).toEqual([
      'messages[1].source_sender_id',
      'messages[3].content',
      'messages[3].sent_at',
      'metadata[0].metadata',
    ]);
    expect(message).toMatch(/^messages\[1\]\.source_sender_id: .+\(and 3 more\)$/);
    expect(await isStored(source, 'conversation-1')).toBe(false);
  });

  it('stops at 20 faults', async () => {
    const { source } = await newPlace();
    const many = (of: Json) => Array.from({ length: 30 }, () => app.make.webhookMessage(of));
    for (const bad of [{ sent_at: 'yesterday' }, { source_sender_id: '' }, { source_channel_id: 'nowhere' }]) {
      const { errors } = await refused(source, { messages: many(bad) });
      expect(errors).toHaveLength(20);
    }
  });

  it('1,001 messages are refused', async () => {
    const { source } = await newPlace();
    const messages = Array.from({ length: 1_000 }, () => app.make.webhookMessage({ content: 'x' }));
    const { message } = await refused(source, { messages });
    expect(message).toMatch(/^messages: .*1,?000/);
    expect(await isStored(source, 'conversation-1')).toBe(false);
  });

  it('lists of another type are refused', async () => {
    const { source } = await newPlace();
    for (const [batch, path] of [
      [{ messages: {} }, 'messages'],
      [{ messages: 'text' }, 'messages'],
      [{ messages: ['text'] }, 'messages[0]'],
      [{ messages: [null] }, 'messages[0]'],
      [{ metadata: 5 }, 'metadata'],
      [{ metadata: [[]] }, 'metadata[0]'],
    ] as const) {
      const { status, body } = await app.rest('sources.webhook', batch, source);
      expect([batch, status, body.errors?.[0].path]).toEqual([batch, 400, path]);
    }
  });
});

describe('Channel', () => {
  it('an unknown channel is refused, naming the message and the channel', async () => {
    const { source } = await newPlace();
    const [fault] = await faultsOf(source, { source_channel_id: 'nowhere' });
    expect(fault).toEqual({ path: 'messages[0].source_channel_id', message: expect.stringMatching('"nowhere"') });
    expect(await isStored(source, 'conversation-1')).toBe(false);
  });

  it("another source's channel is as unknown", async () => {
    const { source } = await newPlace();
    await app.make.channel(await app.make.source(), 'foreign-channel');
    const [fault] = await faultsOf(source, { source_channel_id: 'foreign-channel' });
    expect(fault.message).toMatch('unknown channel "foreign-channel"');
  });

  it('a disconnected channel is refused, naming the message and the channel', async () => {
    const { source } = await newPlace();
    const { id } = await app.make.channel(source, 'closed');
    await app.rest('sources.channels.disconnect', { channel_id: id }, source);
    const [fault] = await faultsOf(source, { source_channel_id: 'closed' });
    expect(fault).toEqual({
      path: 'messages[0].source_channel_id',
      message: expect.stringMatching('"closed" is disconnected'),
    });
  });

  it('a message that names another channel for a known conversation is refused, both channels named', async () => {
    const { source, channel } = await newPlace();
    const other = await app.make.channel(source, 'channel-2');
    await app.make.webhook(source, { messages: [app.make.webhookMessage()] });
    const [fault] = await faultsOf(source, { source_channel_id: 'channel-2' });
    expect(fault.path).toBe('messages[0].source_channel_id');
    for (const named of [channel.id, other.id, '"channel-2"', '"conversation-1"']) expect(fault.message).toMatch(named);
  });

  it('two messages of one batch that name two channels for a new conversation are refused', async () => {
    const { source } = await newPlace();
    await app.make.channel(source, 'channel-2');
    const messages = [app.make.webhookMessage(), app.make.webhookMessage({ source_channel_id: 'channel-2' })];
    const { errors } = await refused(source, { messages });
    expect(errors.map((fault: Json) => fault.path)).toEqual(['messages[1].source_channel_id']);
    expect(await isStored(source, 'conversation-1')).toBe(false);
  });
});

describe('Metadata', () => {
  const item = (metadata: Json, of: Json = {}): Json => ({
    namespace: 'conversation',
    source_id: 'conversation-1',
    metadata,
    ...of,
  });

  it('an unknown namespace is refused with the sentence of the contract', async () => {
    const { source } = await newPlace();
    for (const namespace of ['channel', 'X', '', 'Conversation']) {
      const { message } = await refused(source, { metadata: [item({ a: 1 }, { namespace })] });
      expect(message).toBe(`Unknown metadata namespace ${namespace}`);
    }
  });

  it('reserved keys are refused, at the top and with dots, but for contact and source', async () => {
    const { source } = await newPlace();
    for (const key of ['tags', 'unread_count', 'state', 'user_data', 'public', 'error', 'suggestions']) {
      for (const written of [key, `${key}.x`]) {
        for (const namespace of ['conversation', 'message']) {
          const { errors } = await refused(source, { metadata: [item({ a: 1, [written]: 'x' }, { namespace })] });
          expect(errors).toEqual([{ path: 'metadata[0].metadata', message: expect.stringMatching(`"${key}"`) }]);
        }
      }
    }
    const allowed = { contact: { display_name: 'Ada' }, source: { id: 'x' }, states: 1, nested: { state: 'fine' } };
    await app.make.webhook(source, { messages: [app.make.webhookMessage()], metadata: [item(allowed)] });
    const conversation_id = sourceThingId(source.sourceId, 'conversation-1');
    const { body } = await app.rest('conversations.info', { conversation_id }, caller);
    expect(body.metadata).toMatchObject(allowed);
  });

  it('metadata that is no object, or without namespace or source_id, is refused', async () => {
    const { source } = await newPlace();
    const cases: [Json, string][] = [
      [item('text'), 'metadata'],
      [item([]), 'metadata'],
      [item(null), 'metadata'],
      [item(undefined), 'metadata'],
      [item({}, { namespace: undefined }), 'namespace'],
      [item({}, { source_id: undefined }), 'source_id'],
      [item({}, { source_id: '' }), 'source_id'],
      [item({ a: 'x'.repeat(70_000) }), 'metadata'],
    ];
    for (const [given, field] of cases) {
      const { errors } = await refused(source, { metadata: [given] });
      expect(errors).toEqual([{ path: `metadata[0].${field}`, message: expect.any(String) }]);
    }
  });

  it('at most 10,000 items of a source wait for their subject', async () => {
    const { source } = await newPlace();
    const batch = (from: number, count: number) => ({
      metadata: Array.from({ length: count }, (_, index) => item({ a: 1 }, { source_id: `waiting-${from + index}` })),
    });
    for (let from = 0; from < 10_000; from += 1_000) await app.make.webhook(source, batch(from, 1_000));
    const { errors } = await refused(source, batch(10_000, 1));
    expect(errors).toEqual([{ path: 'metadata', message: expect.stringMatching('10000') }]);
    // What waits already may change, and what comes makes room.
    await app.make.webhook(source, batch(0, 1));
    await app.make.webhook(source, { messages: [app.make.webhookMessage({ source_conversation_id: 'waiting-0' })] });
    await app.make.webhook(source, batch(10_000, 1));
  });
});

describe('Ids that collide', () => {
  /** Two sources whose names and ids run together: `ab` + `c` and `a` + `bc` have one id. */
  async function newTwins() {
    const { sourceId } = await app.make.source();
    const [a, ab] = [
      await app.make.source({ sourceId: `${sourceId}-a` }),
      await app.make.source({ sourceId: `${sourceId}-ab` }),
    ];
    await app.make.channel(a, 'of-a');
    await app.make.channel(ab, 'of-ab');
    return { a, ab };
  }

  it("one source cannot write into another's conversation or message", async () => {
    const { a, ab } = await newTwins();
    await app.make.webhook(a, {
      messages: [
        app.make.webhookMessage({ source_channel_id: 'of-a', source_conversation_id: 'bc', source_message_id: 'bm' }),
      ],
    });
    const [conversation] = await faultsOf(ab, { source_channel_id: 'of-ab', source_conversation_id: 'c' });
    const [message] = await faultsOf(ab, { source_channel_id: 'of-ab', source_message_id: 'm' });
    expect(conversation).toEqual({ path: 'messages[0].source_conversation_id', message: expect.any(String) });
    expect(message).toEqual({ path: 'messages[0].source_message_id', message: expect.any(String) });
    for (const [namespace, source_id] of [
      ['conversation', 'c'],
      ['message', 'm'],
    ]) {
      const batch = { metadata: [{ namespace, source_id, metadata: { stolen: true } }] };
      const { status, body } = await app.rest('sources.webhook', batch, ab);
      expect([namespace, status, body.errors?.[0].path]).toEqual([namespace, 400, 'metadata[0].source_id']);
    }
    const { body } = await app.rest('conversations.info', { conversation_id: sourceThingId(a.sourceId, 'bc') }, caller);
    expect([body.channel.source, body.unread_message_count, body.metadata.stolen]).toEqual([a.sourceId, 1, undefined]);
  });

  it("one source cannot take another's channel", async () => {
    const { a, ab } = await newTwins();
    const { id } = await app.make.channel(a, 'bc');
    const taken = await app.rest('sources.channels.create', { source_channel_id: 'c', name: 'Mine now' }, ab);
    expect([taken.status, taken.body.errors?.[0].path]).toEqual([400, 'source_channel_id']);
    expect((await app.rest('sources.channels.disconnect', { channel_id: id }, ab)).status).toBe(403);
    const batch = { messages: [app.make.webhookMessage({ source_channel_id: 'c' })] };
    expect((await app.rest('sources.webhook', batch, ab)).status).toBe(400);
    const { body } = await app.rest('sources.channels.list', {}, a);
    expect(body.data.find((channel: Json) => channel.id === id)).toMatchObject({ metadata: { name: 'A channel' } });
  });
});
