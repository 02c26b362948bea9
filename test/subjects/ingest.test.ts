import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { sourceThingId } from '../../src/domain/ids.ts';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';

describe('many webhooks at once', () => {
  let app: App;
  let admin: string;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
  });

  const post = (source: MadeSource, batch: { messages?: unknown[]; metadata?: unknown[] }) =>
    app.rest('sources.webhook', batch, { token: source.token });

  /** A source with a channel, and messages of it by name, conversation and time. */
  async function place() {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const message = (name: string, conversation: string, more: Record<string, unknown> = {}) =>
      app.make.webhookMessage({
        source_message_id: name,
        source_conversation_id: conversation,
        source_channel_id: channel.sourceChannelId,
        source_sender_id: `sender of ${conversation}`,
        ...more,
      });
    return { source, channel, message, idOf: (name: string) => sourceThingId(source.sourceId, name) };
  }

  async function listed(conversationId: string): Promise<Json[]> {
    const found = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Json = await app.rest(
        'messages.list',
        { conversation_id: conversationId, cursor, page_size: 100 },
        { token: admin },
      );
      found.push(...page.body.data);
      cursor = page.body.pagination_data.next_cursor;
    }
    return found;
  }

  async function conversation(id: string): Promise<Json> {
    return (await app.rest('conversations.info', { conversation_id: id }, { token: admin })).body;
  }

  /** How often each message of a source stands as created in the event log. */
  async function createdEvents({ sourceId }: MadeSource): Promise<Map<string, number>> {
    const found = await rows<{ id: string; count: number }>(
      app.core.em.fork(),
      sql`select e.payload ->> 'messageId' id, count(*)::int count from event e
          join message m on m.id = (e.payload ->> 'messageId')::uuid join source s on s.id = m.source
          where e.kind = 'message.created' and s.source_id = ${sourceId} group by 1`,
    );
    return new Map(found.map(({ id, count }) => [id, count]));
  }

  it('store each message once, whatever is repeated, with its first content (F4)', async () => {
    const { source, message, idOf } = await place();
    const names = Array.from({ length: 40 }, (_, index) => `m-${index}`);
    const conversationOf = (name: string) => `c-${Number(name.slice(2)) % 5}`;
    // Eight connections: the same messages in another order, half of them twice, with another content each time.
    const batches = Array.from({ length: 8 }, (_, connection) => {
      const shuffled = [...names].sort(() => Math.random() - 0.5);
      return [...shuffled, ...shuffled.slice(0, 20)].map((name, index) =>
        message(name, conversationOf(name), { content: { text: `${connection}.${index}` } }),
      );
    });
    const answers = await Promise.all(batches.map((messages) => post(source, { messages })));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));

    const items = answers.flatMap(({ body }, connection) =>
      (body.data as Json[]).map((item, index) => ({ ...item, content: batches[connection]![index]!.content })),
    );
    const created = items.filter(({ status }) => status === 'created');
    expect(created.map(({ source_message_id: name }) => name).sort()).toEqual([...names].sort());
    expect(items.every(({ source_message_id: name, id }) => id === idOf(name))).toBe(true);

    const stored = (await Promise.all([0, 1, 2, 3, 4].map((index) => listed(idOf(`c-${index}`))))).flat();
    expect(stored).toHaveLength(40);
    const contents = new Map(stored.map(({ id, content }) => [id, content.text]));
    for (const { id, content } of created) expect(contents.get(id)).toBe(content.text);
    expect(await createdEvents(source)).toEqual(new Map(names.map((name) => [idOf(name), 1])));
    for (const index of [0, 1, 2, 3, 4]) expect((await conversation(idOf(`c-${index}`))).unread_message_count).toBe(8);
  });

  it('leave a message where it was first told, when another conversation claims it', async () => {
    const { source, message, idOf } = await place();
    const rivals = Array.from({ length: 8 }, (_, index) =>
      message('wanted', `c-${index}`, { content: { text: `c-${index}` } }),
    );
    const answers = await Promise.all(rivals.map((one) => post(source, { messages: [one] })));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const winner = answers.findIndex(({ body }) => body.data[0].status === 'created');
    expect(answers.filter(({ body }) => body.data[0].status === 'created')).toHaveLength(1);
    expect((await listed(idOf(`c-${winner}`))).map(({ content }) => content.text)).toEqual([`c-${winner}`]);
    expect((await conversation(idOf(`c-${winner}`))).unread_message_count).toBe(1);
    expect([...(await createdEvents(source)).values()]).toEqual([1]);
    // A conversation that got nothing is not there.
    for (let index = 0; index < 8; index += 1) {
      const { status } = await app.rest(
        'conversations.info',
        { conversation_id: idOf(`c-${index}`) },
        { token: admin },
      );
      expect(status).toBe(index === winner ? 200 : 404);
    }
  });

  it('keep the order of sending, the last message and the unread count, however they arrive (F5)', async () => {
    const { source, message, idOf } = await place();
    const told = Array.from({ length: 400 }, (_, index) => ({
      name: `m-${index}`,
      conversation: `c-${index % 10}`,
      // Many share an instant.
      sentAt: 1_600_000_000_000 + Math.floor(Math.random() * 200) * 6_000,
      fromContact: Math.random() < 0.6,
    }));
    const early = told.filter((_, index) => index % 20 === 0);
    const metadata = [
      ...early.map(({ name }) => ({ namespace: 'message', source_id: name, metadata: { early: name } })),
      {
        namespace: 'conversation',
        source_id: 'c-3',
        metadata: { contact: { display_name: 'Ada Lovelace' }, 'order.no': 5 },
      },
    ];
    expect((await post(source, { metadata })).status).toBe(200);

    const shuffled = [...told].sort(() => Math.random() - 0.5);
    const batches: (typeof told)[] = [];
    while (shuffled.length > 0) batches.push(shuffled.splice(0, 1 + Math.floor(Math.random() * 9)));
    const answers = await Promise.all(
      batches.map((batch) =>
        post(source, {
          messages: batch.map((one) =>
            message(one.name, one.conversation, { sent_at: one.sentAt, from_contact: one.fromContact }),
          ),
        }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));

    for (let index = 0; index < 10; index += 1) {
      const id = idOf(`c-${index}`);
      const mine = new Map(told.filter((one) => one.conversation === `c-${index}`).map((one) => [idOf(one.name), one]));
      const stored = await listed(id);
      expect(stored.map((one) => one.id).sort()).toEqual([...mine.keys()].sort());
      const sequences = await rows<{ id: string; sequence: number }>(
        app.core.em.fork(),
        sql`select id::text, sequence from message where conversation_id = ${id}::uuid`,
      );
      const sequence = new Map(sequences.map((row) => [row.id, row.sequence]));
      expect([...sequence.values()].sort((a, b) => a - b)).toEqual(
        Array.from({ length: mine.size }, (_, at) => at + 1),
      );
      const inOrder = [...mine.keys()].sort(
        (a, b) => mine.get(a)!.sentAt - mine.get(b)!.sentAt || sequence.get(a)! - sequence.get(b)!,
      );
      expect(stored.map((one) => one.id)).toEqual(inOrder);

      const shown = await conversation(id);
      expect(shown.last_message.id).toBe(inOrder.at(-1));
      expect(shown.unread_message_count).toBe([...mine.values()].filter(({ fromContact }) => fromContact).length);
      expect(shown.metadata.order).toEqual(index === 3 ? { no: 5 } : undefined);
      expect(shown.contact.first_name === 'Ada').toBe(index === 3);
    }
    const shown = new Map(
      (await Promise.all(told.slice(0, 10).map((one) => listed(idOf(one.conversation)))))
        .flat()
        .map((one) => [one.id, one.metadata]),
    );
    for (const { name } of early) expect(shown.get(idOf(name))).toEqual({ early: name });
    const waiting = await rows(
      app.core.em.fork(),
      sql`select 1 from waiting_metadata w join source s on s.id = w.source where s.source_id = ${source.sourceId}`,
    );
    expect(waiting).toEqual([]);
  });

  it('fail alone when they are bad, in whatever company they come (group commit)', async () => {
    const places = await Promise.all([place(), place(), place()]);
    const calls = Array.from({ length: 150 }, (_, index) => {
      const { source, message } = places[index % 3]!;
      const good = message(`m-${index}`, `c-${index % 4}`);
      const bad: Record<number, unknown> = {
        3: { ...good, source_channel_id: 'unknown' },
        5: { ...good, sent_at: 'yesterday' },
        7: { ...good, source_message_id: '' },
        9: { ...good, content: { text: 'a\0b' } },
      };
      const body = bad[index % 10] ?? good;
      return { source, index, isBad: body !== good, messages: [body] };
    });
    const answers = await Promise.all(calls.map(({ source, messages }) => post(source, { messages })));
    expect(answers.map(({ status }) => status)).toEqual(calls.map(({ isBad }) => (isBad ? 400 : 200)));

    for (const [at, { idOf }] of places.entries()) {
      const wanted = calls
        .filter(({ index, isBad }) => !isBad && index % 3 === at)
        .map(({ index }) => idOf(`m-${index}`));
      const stored = (await Promise.all([0, 1, 2, 3].map((index) => listed(idOf(`c-${index}`))))).flat();
      expect(stored.map(({ id }) => id).sort()).toEqual(wanted.sort());
    }
  });

  it('keep equal names of different sources apart, also within one commit', async () => {
    const places = await Promise.all(Array.from({ length: 6 }, place));
    const answers = await Promise.all(
      places.map(({ source, message }, index) =>
        post(source, { messages: [message('same', 'same', { content: { text: `of ${index}` } })] }),
      ),
    );
    expect(answers.map(({ body }) => body.data[0].status)).toEqual(Array(6).fill('created'));
    for (const [index, { idOf, source }] of places.entries()) {
      const [only, ...others] = await listed(idOf('same'));
      expect([only.content.text, only.source, others.length]).toEqual([`of ${index}`, source.sourceId, 0]);
    }
  });

  it('make one contact of a sender who begins many conversations at once', async () => {
    const { source, message, idOf } = await place();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        post(source, { messages: [message(`m-${index}`, `c-${index}`, { source_sender_id: 'one person' })] }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const shown = await Promise.all(answers.map((_, index) => conversation(idOf(`c-${index}`))));
    expect(new Set(shown.map(({ contact }) => contact.id)).size).toBe(1);
  });

  it('stand in the counters exactly as in the tables, while others read and send', async () => {
    const { source, message, idOf } = await place();
    const work: Promise<unknown>[] = [];
    for (let round = 0; round < 12; round += 1) {
      for (let index = 0; index < 6; index += 1) {
        const isFromContact = (round + index) % 3 !== 0;
        work.push(
          post(source, {
            messages: [
              message(`m-${round}-${index}`, `c-${index}`, { from_contact: isFromContact }),
              message(`m-${round}-${index}`, `c-${index}`),
            ],
          }),
        );
      }
      await work.at(-1);
      work.push(app.rest('conversations.read', { conversation_id: idOf(`c-${round % 6}`) }, { token: admin }));
      work.push(
        app.rest(
          'messages.send',
          { conversation_id: idOf(`c-${round % 6}`), message: { text: 'x' } },
          { token: admin },
        ),
      );
    }
    await Promise.all(work);

    const [totals] = await rows<Json>(
      app.core.em.fork(),
      sql`select (select sum(value)::int from counter where name = 'conversations') conversations,
            (select sum(value)::int from counter where name = 'unread_messages') unread,
            (select count(*)::int from conversation) real_conversations,
            (select sum(unread_count)::int from conversation) real_unread,
            (select count(*)::int from conversation c where message_count <> (select count(*) from message m where m.conversation_id = c.id)) wrong_counts,
            (select count(*)::int from conversation c where next_sequence <> message_count + 1) wrong_sequences`,
    );
    expect(totals).toMatchObject({
      conversations: totals.real_conversations,
      unread: totals.real_unread,
      wrong_counts: 0,
      wrong_sequences: 0,
    });
    const { body } = await app.rest('conversations.list', { page_size: 100 }, { token: admin });
    expect(body.response_metadata).toMatchObject({ total: totals.conversations, badge_unread_count: totals.unread });
    for (let index = 0; index < 6; index += 1) {
      await app.rest('conversations.read', { conversation_id: idOf(`c-${index}`) }, { token: admin });
      expect((await conversation(idOf(`c-${index}`))).unread_message_count).toBe(0);
    }
  });

  describe('metadata of a source', () => {
    const metadataOf = async (id: string) => {
      const query = 'query ($id: ID!) { conversation(id: $id) { metadata } }';
      return (await app.data(query, { id }, admin)).conversation.metadata;
    };

    it('is merged in the order of the batch and of the requests, __proto__ a key like another', async () => {
      const { source, message, idOf } = await place();
      const item = (metadata: unknown) => ({ namespace: 'conversation', source_id: 'c', metadata });
      await post(source, {
        messages: [message('m', 'c')],
        metadata: [item({ a: { b: 1, c: 2 } }), item({ 'a.b': null, 'd.e': 3 }), item({ a: { f: [1] } })],
      });
      expect(await metadataOf(idOf('c'))).toEqual({ a: { c: 2, f: [1] }, d: { e: 3 } });
      await post(source, { metadata: [item({ a: 'scalar' })] });
      await post(source, { metadata: [item(JSON.parse('{"__proto__":{"polluted":true},"constructor.prototype":1}'))] });
      const shown = JSON.stringify(await metadataOf(idOf('c')));
      expect(JSON.parse(shown)).toEqual(
        JSON.parse('{"a":"scalar","d":{"e":3},"__proto__":{"polluted":true},"constructor":{"prototype":1}}'),
      );
      expect(shown).toContain('"__proto__"');
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });

    it('of 20 requests at once is there completely', async () => {
      const { source, message, idOf } = await place();
      await post(source, { messages: [message('m', 'c')] });
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          post(source, {
            metadata: [{ namespace: 'conversation', source_id: 'c', metadata: { [`group.k${index}`]: index } }],
          }),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(Object.keys((await metadataOf(idOf('c'))).group)).toHaveLength(20);
    });

    it('that races with its message is never lost', async () => {
      const { source, message, idOf } = await place();
      const names = Array.from({ length: 30 }, (_, index) => `m-${index}`);
      await Promise.all(
        names.flatMap((name) => [
          post(source, { messages: [message(name, 'c')] }),
          post(source, { metadata: [{ namespace: 'message', source_id: name, metadata: { read_by: name } }] }),
        ]),
      );
      const stored = await listed(idOf('c'));
      expect(stored).toHaveLength(30);
      for (const one of stored) expect(one.metadata.read_by).toMatch(/^m-/);
    });

    it('names the contact that comes after it', async () => {
      const { source, message, idOf } = await place();
      await post(source, { messages: [message('m-1', 'c', { from_contact: false })] });
      await post(source, {
        metadata: [
          {
            namespace: 'conversation',
            source_id: 'c',
            metadata: { contact: { display_name: 'Grace Brewster Hopper' } },
          },
        ],
      });
      expect((await conversation(idOf('c'))).contact.id).toBeNull();
      await post(source, { messages: [message('m-2', 'c')] });
      expect((await conversation(idOf('c'))).contact).toMatchObject({
        first_name: 'Grace Brewster',
        last_name: 'Hopper',
      });
    });
  });
});
