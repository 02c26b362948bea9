import { beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { send, settled } from '../support/sending.ts';
import { statementsOf } from '../support/statements.ts';
import { until } from '../support/until.ts';

const eventFields = `__typename ... on Event { cursor at }
  ... on MessageEvent { created message { legacyId sequence deliveryState metadata raw conversation { legacyId } } }
  ... on ConversationEvent { created conversation { legacyId unreadCount metadata } }`;
const inbox = `subscription ($after: Cursor) { inbox(after: $after) { ${eventFields}
  ... on ChannelEvent { channel { legacyId name connected } } } }`;
const conversationStream = `subscription ($id: ID!, $after: Cursor) { conversation(id: $id, after: $after) { ${eventFields} } }`;

describe('subscriptions', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  let marker: MadeSource;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { outboundAllow: [endpoint.hostPort] } });
    admin = (await app.make.admin()).token;
    marker = await app.make.source();
  });

  /** A cursor right behind all that was done before: `eventCursor` may lie a little earlier. */
  async function cursorNow(): Promise<string> {
    const { eventCursor } = await app.data('{ eventCursor }', {}, admin);
    const stream = app.subscribe(inbox, { token: admin, variables: { after: eventCursor } });
    const { id } = await app.make.channel(marker);
    for (;;) {
      const { channel, cursor } = await stream.next();
      if (channel?.legacyId !== id) continue;
      stream.close();
      return cursor;
    }
  }
  const message = (place: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    app.make.webhookMessage({ ...place, ...more });
  /** Says what an event is about in one line. */
  const line = (event: Json): string => {
    const word = event.created === undefined ? '' : event.created ? ' created' : ' changed';
    const detail = event.message?.deliveryState ?? event.conversation?.unreadCount ?? event.channel?.connected;
    return `${event.__typename}${word} ${detail}`;
  };

  async function hear(query: string, count: number, variables: Json): Promise<Json[]> {
    const stream = app.subscribe(query, { token: admin, variables });
    const heard = [];
    while (heard.length < count) heard.push(await stream.next());
    stream.close();
    return heard;
  }

  describe('hear of everything that happens, in its order:', () => {
    async function story() {
      const after = await cursorNow();
      const source = await app.make.source({ actionEndpoint: endpoint.route().url });
      const conversation = await app.make.conversation({ source });
      const stranger = await app.make.conversation({ source });
      await settled(app, await send(app, conversation));
      await app.rest('conversations.read', { conversation_id: conversation.id }, { token: admin });
      await app.make.webhook(source, {
        metadata: [
          { namespace: 'conversation', source_id: conversation.sourceConversationId, metadata: { mood: 'good' } },
        ],
      });
      const [channel] = (await app.rest('sources.channels.list', {}, { token: source.token })).body.data;
      await app.rest('channels.disconnect', { channel_id: channel.id }, { token: admin });
      return { after, conversation, stranger };
    }

    it('the inbox', async () => {
      const { after, conversation, stranger } = await story();
      const heard = await hear(inbox, 11, { after });
      expect(heard.map(line)).toEqual([
        'ChannelEvent false',
        'ConversationEvent created 0',
        'MessageEvent created DELIVERED',
        'ChannelEvent true',
        'ConversationEvent created 1',
        'MessageEvent created DELIVERED',
        'MessageEvent created DELIVERED',
        'MessageEvent changed DELIVERED',
        'ConversationEvent changed 0',
        'ConversationEvent changed 0',
        'ChannelEvent false',
      ]);
      expect(heard[9].conversation).toMatchObject({ legacyId: conversation.id, metadata: { mood: 'good' } });
      const about = heard.map(({ message: of, conversation: on }) => of?.conversation.legacyId ?? on?.legacyId);
      expect(about.filter((id) => id === stranger.id)).toHaveLength(2);
      expect(new Set(heard.map(({ cursor }) => cursor)).size).toBe(11);
    });

    it('a conversation, without anything of another one', async () => {
      const { after, conversation, stranger } = await story();
      const heard = await hear(conversationStream, 6, { id: conversation.id, after });
      expect(heard.map(line)).toEqual([
        'ConversationEvent created 0',
        'MessageEvent created DELIVERED',
        'MessageEvent created DELIVERED',
        'MessageEvent changed DELIVERED',
        'ConversationEvent changed 0',
        'ConversationEvent changed 0',
      ]);
      expect(JSON.stringify(heard)).not.toContain(stranger.id);
    });

    it('each while it happens too', async () => {
      const route = endpoint.route();
      const source = await app.make.source({ actionEndpoint: route.url });
      const [mine, other] = [await app.make.conversation({ source }), await app.make.conversation({ source })];
      const after = await cursorNow();
      const streams = [
        app.subscribe(inbox, { token: admin, variables: { after } }),
        app.subscribe(conversationStream, { token: admin, variables: { id: mine.id, after } }),
      ];
      const steps: [() => Promise<unknown>, string[]][] = [
        [() => app.make.webhook(source, { messages: [message(other.place)] }), []],
        [() => app.make.webhook(source, { messages: [message(mine.place)] }), ['MessageEvent created DELIVERED']],
        [
          () => app.rest('conversations.read', { conversation_id: mine.id }, { token: admin }),
          ['ConversationEvent changed 0'],
        ],
      ];
      for (const [act, expected] of steps) {
        await act();
        for (const [index, stream] of streams.entries()) {
          const wanted = index === 0 && expected.length === 0 ? ['MessageEvent created DELIVERED'] : expected;
          for (const one of wanted) expect(line(await stream.next())).toBe(one);
        }
      }
      for (const stream of streams) stream.close();
    });
  });

  it('are refused for a conversation that is not there', async () => {
    const socket = await openSocket(app.wsUrl, admin);
    const word = await socket.first(conversationStream, { id: '00000000-0000-4000-8000-000000000000' });
    expect(word).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'NOT_FOUND' } }] });
    socket.close();
  });

  it('after the eventCursor that was read with the first page miss nothing, however much is written', async () => {
    const source = await app.make.source();
    const { sourceChannelId } = await app.make.channel(source);
    const begin = await cursorNow();
    let written = 0;
    const writer = async () => {
      for (let count = 0; count < 30; count += 1) {
        written += 1;
        await app.make.webhook(source, {
          messages: [
            message(
              { source_channel_id: sourceChannelId, source_conversation_id: `new-${written}` },
              { sent_at: Date.now() },
            ),
          ],
        });
      }
    };
    const reads: { ids: string[]; eventCursor: string }[] = [];
    let isWriting = true;
    const reader = async () => {
      while (isWriting) {
        const { conversations, eventCursor } = await app.data(
          '{ conversations(first: 100) { nodes { legacyId } } eventCursor }',
          {},
          admin,
        );
        reads.push({ ids: conversations.nodes.map(({ legacyId }: Json) => legacyId), eventCursor });
      }
    };
    const writing = Promise.all(Array.from({ length: 6 }, writer)).then(() => (isWriting = false));
    await Promise.all([writing, reader(), reader(), reader()]);

    const told = (await hear(inbox, 2 * written, { after: begin })).filter(
      ({ __typename: type }) => type === 'ConversationEvent',
    );
    const order = told.map(({ cursor, conversation }) => ({ at: positionOf(cursor), id: conversation.legacyId }));
    expect(order).toHaveLength(written);
    expect(reads.length).toBeGreaterThan(10);
    let looked = 0;
    for (const { ids, eventCursor } of reads) {
      const known = order.filter(({ at }) => comparePositions(at, positionOf(eventCursor)) <= 0).map(({ id }) => id);
      // The page shows the newest 100: beside what is newer than the cursor, what was told last up to it must stand there.
      const inPage = new Set(ids);
      const newer = ids.length - known.filter((id) => inPage.has(id)).length;
      // The cursor lies back while any transaction of the whole server is open.
      if (newer > 40) continue;
      looked += 1;
      expect(known.slice(-40).filter((id) => !inPage.has(id))).toEqual([]);
    }
    expect(looked).toBeGreaterThan(0);
  });

  it('resume after any number of dropped sockets without gap or double, in order, while others write', async () => {
    const source = await app.make.source();
    const conversations = await Promise.all(Array.from({ length: 10 }, () => app.make.conversation({ source })));
    const begin = await cursorNow();
    const writers = Array.from({ length: 5 }, async (_, writer) => {
      for (let count = 0; count < 60; count += 1) {
        const { place } = conversations[(count * 7 + writer) % 10]!;
        await app.make.webhook(source, { messages: [message(place)] });
      }
    });

    const heard: Json[] = [];
    let after = begin;
    let sockets = 0;
    while (heard.length < 300) {
      sockets += 1;
      const wanted = 1 + Math.floor(Math.random() * 40);
      const socket = await openSocket(app.wsUrl, admin);
      const id = socket.start(inbox, { after });
      await until(async () => socket.about(id).length >= Math.min(wanted, 300 - heard.length));
      socket.close();
      // What came beyond is forgotten, as with a client that ends on the way.
      const events = socket.about(id).map(({ payload }) => payload.data.inbox);
      heard.push(...events.slice(0, wanted));
      after = heard.at(-1).cursor;
    }
    await Promise.all(writers);

    expect(sockets).toBeGreaterThan(7);
    expect(heard).toHaveLength(300);
    expect(new Set(heard.map((event) => event.message.legacyId)).size).toBe(300);
    for (const { id } of conversations) {
      const sequences = heard
        .filter((event) => event.message.conversation.legacyId === id)
        .map((event) => event.message.sequence);
      expect(sequences).toEqual(Array.from({ length: sequences.length }, (_, index) => index + 2));
    }
  });

  it('execute once for all that are equal', async () => {
    const conversation = await app.make.conversation();
    const agent = (await app.make.user({ role: 'AGENT' })).token;
    const admins = await Promise.all(Array.from({ length: 50 }, () => openSocket(app.wsUrl, admin)));
    const agents = await Promise.all(Array.from({ length: 10 }, () => openSocket(app.wsUrl, agent)));
    const sockets = [...admins, ...agents];
    const after = await cursorNow();
    // Where each begins makes no difference to what it hears.
    const ids = sockets.map((socket, index) => socket.start(inbox, index % 2 ? { after } : {}));
    await Promise.all(sockets.map((socket) => socket.first('{ __typename }')));

    const heardBy = (index: number) => sockets[index]!.about(ids[index]!).map(({ payload }) => payload);
    const tell = async (count: number) => {
      await app.make.webhook(conversation.source, { messages: [message(conversation.place)] });
      await until(async () => ids.every((_, index) => heardBy(index).length === count));
    };
    // Who begins in the past reads that alone.
    await tell(1);
    const { statements } = await statementsOf(() => tell(2));
    const reads = statements.filter((statement) => /from message m where m.id = any/.test(statement));
    // Once for the administrators, once for the agents.
    expect(reads).toHaveLength(2);
    expect(new Set(ids.map((_, index) => JSON.stringify(heardBy(index)))).size).toBe(1);
    for (const socket of sockets) socket.close();
  });

  it('of a client that does not read end with 1013, and resume where it stood', async () => {
    const source = await app.make.source();
    const conversation = await app.make.conversation({ source });
    const after = await cursorNow();
    const slow = await slowSocket(app.wsUrl, admin);
    slow.ws.send(
      JSON.stringify({
        id: '1',
        type: 'subscribe',
        payload: { query: conversationStream, variables: { id: conversation.id, after } },
      }),
    );
    const pouring = await pour(source, conversation.place);
    expect(await slow.closed).toBe(1013);
    expect(slow.events.length).toBeGreaterThan(0);
    expect(slow.events.length).toBeLessThan(pouring);

    // All of it is past by then: as it happens it would be too much for a moment for any client.
    await cursorNow();
    const rest = await hear(conversationStream, pouring - slow.events.length, {
      id: conversation.id,
      after: slow.events.at(-1).cursor,
    });
    const sequences = [...slow.events, ...rest].map((event) => event.message.sequence);
    expect(sequences).toEqual(Array.from({ length: pouring }, (_, index) => index + 2));
  });

  it('of the past wait for a client that reads late, however large the messages are', async () => {
    const source = await app.make.source();
    const conversation = await app.make.conversation({ source });
    const after = await cursorNow();
    const poured = await pour(source, conversation.place);
    const variables = { id: conversation.id, after };
    await cursorNow();
    const late = await slowSocket(app.wsUrl, (await app.make.user({ role: 'AGENT' })).token);
    late.ws.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: conversationStream, variables } }));
    // Who reads has heard everything: by then the server has read as far ahead for the other as it ever will.
    await hear(conversationStream, poured, variables);

    late.ws.resume();
    const closed = new Promise<number>((resolve) => late.ws.once('close', resolve));
    const heard = until(async () => late.events.length === poured || undefined);
    expect(await Promise.race([heard, closed])).toBe(true);
    late.ws.terminate();
  });

  it('of clients that do not read hold up nobody who resumes', async () => {
    const source = await app.make.source();
    const conversation = await app.make.conversation({ source });
    const after = await cursorNow();
    await pour(source, conversation.place, 20_000, 45);
    const agent = (await app.make.user({ role: 'AGENT' })).token;
    const slow = await Promise.all(Array.from({ length: 10 }, () => slowSocket(app.wsUrl, agent)));
    const variables = { id: conversation.id, after };
    for (const { ws } of slow)
      ws.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: conversationStream, variables } }));
    // They look alive: pongs need no reading.
    const pongs = setInterval(() => {
      for (const { ws } of slow) ws.pong();
    }, 500);

    for (const token of [admin, agent]) {
      const stream = app.subscribe(conversationStream, { token, variables });
      expect((await stream.next()).message.sequence).toBe(2);
      stream.close();
    }
    clearInterval(pongs);
    for (const { ws } of slow) ws.terminate();
  });

  /** Messages, more than the sockets of both sides hold; how many. */
  async function pour(
    source: MadeSource,
    place: Record<string, unknown>,
    bytes = 60_000,
    batches = 30,
  ): Promise<number> {
    const perBatch = 15;
    for (let batch = 0; batch < batches; batch += 1) {
      const content = { text: 'x'.repeat(bytes) };
      await app.make.webhook(source, { messages: Array.from({ length: perBatch }, () => message(place, { content })) });
    }
    return perBatch * batches;
  }
});

/** A client that takes what comes into its socket, and reads it only when the server has given it up. */
async function slowSocket(url: string, token: string) {
  const ws = new WebSocket(url, 'graphql-transport-ws');
  const events: Json[] = [];
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  await new Promise((resolve) => ws.once('open', resolve));
  ws.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
  await new Promise((resolve) => ws.once('message', resolve));
  ws.on('message', (data) => {
    const { type, payload } = JSON.parse(String(data)) as Json;
    if (type === 'next') events.push(payload.data.conversation);
  });
  ws.pause();
  return {
    ws,
    events,
    get closed() {
      ws.resume();
      return closed;
    },
  };
}

interface Position {
  txid: bigint;
  id: bigint;
}

function positionOf(cursor: string): Position {
  const [, txid, id] = Buffer.from(cursor, 'base64url').toString().split('/');
  return { txid: BigInt(txid!), id: BigInt(id!) };
}

function comparePositions(a: Position, b: Position): number {
  return Number(a.txid - b.txid) || Number(a.id - b.id);
}
