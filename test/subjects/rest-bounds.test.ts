import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { anyUuid } from '../support/rest-rows.ts';

describe('bounds of the older contracts', () => {
  let app: App;
  let agent: string;
  let source: MadeSource;
  let channel: { id: string; sourceChannelId: string };
  let conversationId: string;

  beforeAll(async () => {
    app = await startApp();
    agent = (await app.make.user()).token;
    source = await app.make.source();
    channel = await app.make.channel(source);
    conversationId = (await app.make.conversation({ source, channel, messages: [{}, {}, {}] })).id;
  });
  afterAll(() => app.stop());

  describe('R11: times and sizes', () => {
    it.each([
      1e300,
      -1,
      1.5,
      '',
      'yesterday',
      '2024-01-01T00:00:00',
      '2024-01-01',
      '300000-01-01T00:00:00Z',
      '+300000-01-01T00:00:00Z',
      '2024-13-01T00:00:00Z',
      '2024-01-01T25:00:00Z',
      8.64e15,
      '99999999999999999',
      null,
      true,
      [1],
      {},
    ])('%j is no sent_at', async (sentAt) => {
      const messages = [app.make.webhookMessage({ sent_at: sentAt, source_channel_id: 'x' })];
      const answer = await app.rest('sources.webhook', { messages }, { token: source.token });
      expect([answer.status, answer.body.errors.map((fault: Json) => fault.path)]).toEqual([
        400,
        expect.arrayContaining(['messages[0].sent_at']),
      ]);
    });

    const dayMs = 86_400_000;

    it('a day from now and more is no sent_at, by either way in', async () => {
      const sentAt = Date.now() + dayMs + 60_000;
      const messages = [app.make.webhookMessage({ sent_at: sentAt, source_channel_id: channel.sourceChannelId })];
      const answer = await app.rest('sources.webhook', { messages }, { token: source.token });
      const fault = { path: 'messages[0].sent_at', message: 'must be between the year 1970 and a day from now' };
      expect([answer.status, answer.body.errors]).toEqual([400, [fault]]);
      const ingest = 'mutation ($m: [IngestMessageInput!]!) { ingest(input: { messages: $m }) { items { status } } }';
      const input = {
        sourceMessageId: 'far',
        sourceConversationId: 'far',
        sourceChannelId: channel.sourceChannelId,
        sourceSenderId: 'far',
        content: 'x',
        sentAt,
      };
      const { body } = await app.graphql(ingest, { m: [input] }, { token: source.token });
      expect(body.errors[0].extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        errors: [{ ...fault, path: 'messages[0].sentAt' }],
      });
    });

    it.each([0, 1, Date.UTC(1999, 11, 31)])('%j is one, as is what a clock says that is ahead', async (old) => {
      for (const sentAt of [old, Date.now() + dayMs - 60_000]) {
        const messages = [app.make.webhookMessage({ sent_at: sentAt, source_channel_id: channel.sourceChannelId })];
        expect((await app.rest('sources.webhook', { messages }, { token: source.token })).status).toBe(200);
      }
    });

    it.each([-1, 2.5, '20', '', true, [], {}, 1e300])('%j is no page_size', async (size) => {
      const answer = await app.rest('conversations.list', { page_size: size }, { token: agent });
      expect([answer.status, answer.body.errors?.[0].path]).toEqual([400, 'page_size']);
    });

    it.each([0, null, 1, 100, 101, 1e9, 2 ** 31, 2 ** 53 - 1])('%j is one', async (size) => {
      expect((await app.rest('conversations.list', { page_size: size }, { token: agent })).status).toBe(200);
    });
  });

  describe('R12: a cursor', () => {
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const lists = ['conversations', 'messages', 'channels', 'x'];
    const keys = [
      [],
      [1],
      ['x', 'y'],
      [null, null],
      [1e300, anyUuid],
      [-1e18, anyUuid],
      [1, 'x'],
      [{}, []],
      [1, anyUuid, 1],
      [1.5, anyUuid],
      ['1', anyUuid],
    ];
    const forged = [
      'x',
      'before:',
      'before:x',
      'before:before:',
      'before:1',
      '-1',
      '1.5',
      ...lists.flatMap((list) => keys.map((key) => encoded([list, ...key]))),
      encoded({}),
      encoded(null),
      'x'.repeat(5_000),
      "' or 1=1",
      '%',
      ' ',
    ];

    it.each(['conversations.list', 'messages.list'])(
      'of %s that was forged is refused, or shows no more than the list',
      async (name) => {
        const ids = async (more: object) => {
          const answer = await app.rest(name, { conversation_id: conversationId, ...more }, { token: agent });
          return answer.status === 200 ? (answer.body.data.map((one: Json) => one.id) as string[]) : [];
        };
        const all = await ids({ page_size: 100 });
        for (const cursor of [...forged, ...forged.map((one) => `before:${one}`)]) {
          expect(all).toEqual(expect.arrayContaining(await ids({ cursor, page_size: 100 })));
        }
        expect((await app.rest(name, { conversation_id: conversationId, cursor: 'x' }, { token: agent })).status).toBe(
          400,
        );
      },
    );
  });

  describe('R14: a batch', () => {
    it('of more than 1,000 messages is refused', async () => {
      const message = app.make.webhookMessage({ source_channel_id: 'x' });
      const answer = await app.rest(
        'sources.webhook',
        { messages: Array(1_001).fill(message) },
        { token: source.token },
      );
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ path: 'messages', message: expect.stringContaining('1000') }],
      ]);
    });

    it.each(['messages', 'metadata'])('of half a million wrong %s is counted before it is looked at', async (field) => {
      const body = `{"${field}":[${'0,'.repeat(500_000)}0]}`;
      const answer = await app.rest('sources.webhook', body, { token: source.token });
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ path: field, message: expect.stringContaining('1000') }],
      ]);
    });

    it('with many faults tells twenty of them', async () => {
      const answer = await app.rest('sources.webhook', { messages: Array(900).fill({}) }, { token: source.token });
      expect([answer.status, answer.body.errors.length]).toEqual([400, 20]);
    });
  });
});
