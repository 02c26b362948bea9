import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { sourceThingId } from '../../src/domain/ids.ts';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
});

describe('The limits of a batch', () => {
  const large = (key: string) => ({ [key]: 'x'.repeat(60_000) });
  const item = (source_id: string, metadata: unknown, namespace = 'conversation') => ({
    namespace,
    source_id,
    metadata,
  });
  const post = (source: MadeSource, batch: { messages?: unknown[]; metadata?: unknown[] }) =>
    app.rest('sources.webhook', batch, { token: source.token });

  async function place() {
    const source = await app.make.source();
    const { sourceChannelId: source_channel_id } = await app.make.channel(source);
    const message = (of: Json) => app.make.webhookMessage({ source_channel_id, ...of });
    return { source, message };
  }

  async function storedBytes(source: MadeSource, sourceConversationId: string): Promise<number> {
    const id = sourceThingId(source.sourceId, sourceConversationId);
    const [row] = await rows<{ bytes: number }>(
      app.core.em.fork(),
      sql`select octet_length(metadata::text) bytes from conversation where id = ${id}::uuid`,
    );
    return row?.bytes ?? 0;
  }

  async function waitingCount(source: MadeSource): Promise<number> {
    const [row] = await rows<{ count: number }>(
      app.core.em.fork(),
      sql`select count(*)::int count from waiting_metadata w join source s on s.id = w.source
          where s.source_id = ${source.sourceId}`,
    );
    return row!.count;
  }

  it('64 KiB of metadata of one subject count over all items of the batch', async () => {
    const { source, message } = await place();
    const messages = [message({ source_conversation_id: 'c' })];
    for (const batch of [
      { messages, metadata: Array.from({ length: 6 }, (_, index) => item('c', large(`k${index}`))) },
      { metadata: [item('not there', large('a')), item('not there', large('b'))] },
    ]) {
      const { status, body } = await post(source, batch);
      expect([status, body.errors[0]]).toEqual([
        400,
        { path: 'metadata[1].metadata', message: expect.stringMatching('65536') },
      ]);
    }
    expect(await storedBytes(source, 'c')).toBe(0);
    expect(await waitingCount(source)).toBe(0);
    // What is taken out again does not count.
    const replaced = [item('c', large('a')), item('c', { a: null, ...large('b') })];
    expect((await post(source, { messages, metadata: replaced })).status).toBe(200);
  });

  it('a thousand items beside 64 KiB of metadata are taken or refused in one go', async () => {
    const { source, message } = await place();
    const fill = {
      messages: [message({ source_conversation_id: 'f' })],
      metadata: [item('f', { x: 'x'.repeat(65_490) })],
    };
    expect((await post(source, fill)).status).toBe(200);
    // Each of them alone has room beside it.
    const fitting = Array.from({ length: 1_000 }, (_, index) => item('f', { n: index }));
    expect((await post(source, { metadata: fitting })).status).toBe(200);
    const growing = Array.from({ length: 1_000 }, (_, index) => item('f', { [`k${index}`]: index }));
    const { status, body } = await post(source, { metadata: growing });
    // {"x":"...","n":999,"k0":0,...,"k3":3} has 65,534 bytes.
    expect([status, body.errors]).toEqual([
      400,
      [{ path: 'metadata[4].metadata', message: expect.stringMatching('65536') }],
    ]);
  });

  it('64 KiB count over batches that are committed together, and over what waited', async () => {
    const { source, message } = await place();
    await post(source, { metadata: [item('c', large('early'))] });
    const late = await post(source, {
      messages: [message({ source_conversation_id: 'c' })],
      metadata: [item('c', large('late'))],
    });
    expect(late.status).toBe(400);
    await post(source, { messages: [message({ source_conversation_id: 'd' })] });
    // The small ones keep the database busy while the large ones gather.
    const patches = [...Array(6).fill({ small: 1 }), ...Array.from({ length: 12 }, (_, index) => large(`k${index}`))];
    const answers = await Promise.all(patches.map((patch) => post(source, { metadata: [item('d', patch)] })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(6 + 1);
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(11);
    expect(await storedBytes(source, 'd')).toBeLessThan(65_536);
  });

  it('10,000 waiting items count over batches that are committed together', async () => {
    const { source } = await place();
    await rows(
      app.core.em.fork(),
      sql`insert into waiting_metadata (source, namespace, subject_id, metadata)
          select id, 'conversation', 'w' || n, '{"a":1}' from source, generate_series(1, 9995) n
          where source_id = ${source.sourceId}`,
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => post(source, { metadata: [item(`new-${index}`, { a: 1 })] })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(await waitingCount(source)).toBe(10_000);
    // More of what waits already is no item more.
    expect((await post(source, { metadata: [item('w1', { b: 2 })] })).status).toBe(200);
  });

  it('a conversation and a message of one name keep their metadata apart', async () => {
    const { source, message } = await place();
    const both = [item('1', { of: 'conversation' }), item('1', { of: 'message' }, 'message')];
    const messages = [message({ source_message_id: '1', source_conversation_id: '1' })];
    await post(source, { messages, metadata: both });
    await post(source, { messages, metadata: [item('1', { more: 1 }), item('1', { less: 0 }, 'message')] });
    const id = sourceThingId(source.sourceId, '1');
    const stored = await rows<Json>(
      app.core.em.fork(),
      sql`select c.metadata conversation, m.metadata message from conversation c join message m on m.id = c.id
          where c.id = ${id}::uuid`,
    );
    expect(stored).toEqual([{ conversation: { of: 'conversation', more: 1 }, message: { of: 'message', less: 0 } }]);
  });

  it('faults of values and of channels come in one answer, each once', async () => {
    const { source, message } = await place();
    const { status, body } = await post(source, {
      messages: [
        message({ content: 'x'.repeat(70_000) }),
        message({ source_conversation_id: 'other', source_channel_id: 'nowhere' }),
        message({ sent_at: Date.UTC(1960, 0, 1) }),
      ],
      metadata: [item('conversation-1', { tags: 1 }), item('conversation-1', { big: 'x'.repeat(70_000) })],
    });
    expect([status, body.errors.map((fault: Json) => fault.path).sort()]).toEqual([
      400,
      [
        'messages[0].content',
        'messages[1].source_channel_id',
        'messages[2].sent_at',
        'metadata[0].metadata',
        'metadata[1].metadata',
      ],
    ]);
  });

  it('names that are none are told before anything is looked up', async () => {
    const { source, message } = await place();
    const { status, body } = await post(source, {
      messages: [message({ source_channel_id: 'nowhere' }), message({ source_conversation_id: 'x'.repeat(513) })],
    });
    expect([status, body.errors.map((fault: Json) => fault.path)]).toEqual([
      400,
      ['messages[1].source_conversation_id'],
    ]);
  });
});

describe('a batch that was taken', () => {
  it('is taken again after its channel was disconnected, as duplicates', async () => {
    const { source, channel, place, messageIds } = await app.make.conversation({
      messages: [{ source_message_id: 'taken-1' }],
    });
    const gone = await app.rest('sources.channels.disconnect', { channel_id: channel.id }, { token: source.token });
    expect(gone.status).toBe(204);

    const again = await app.make.webhook(source, {
      messages: [app.make.webhookMessage({ ...place, source_message_id: 'taken-1' })],
    });
    expect(again.data).toEqual([{ source_message_id: 'taken-1', id: messageIds[0], status: 'duplicate' }]);
  });
});

describe('many items for one conversation with much metadata', () => {
  it('keep nobody else waiting', async () => {
    const { source, sourceConversationId } = await app.make.conversation();
    const about = (metadata: object) => ({ namespace: 'conversation', source_id: sourceConversationId, metadata });
    const much = Object.fromEntries(Array.from({ length: 3_000 }, (_, key) => [`key-${key}`, key]));
    await app.make.webhook(source, { metadata: [about(much)] });

    const before = process.threadCpuUsage();
    await app.make.webhook(source, {
      metadata: Array.from({ length: 1_000 }, (_, n) => about({ [`a.b.c${n % 7}`]: n })),
    });
    const { user, system } = process.threadCpuUsage(before);
    // All of it, the client's own part included; it used to take seconds.
    expect((user + system) / 1_000).toBeLessThan(500);
  });
});
