import { EventEmitter } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import WebSocket from 'ws';
import { registerTokenKind } from '../../src/domain/authentication.ts';
import { systemCtx } from '../../src/domain/context.ts';
import { appendEvents, type DomainEvent } from '../../src/domain/events.ts';
import { rows } from '../../src/domain/statement.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { FairSlots } from '../../src/graphql/live-slots.ts';
import { Connection } from '../../src/server/socket-connection.ts';
import { startApp } from '../support/app.ts';

type App = Awaited<ReturnType<typeof startApp>>;
interface Message {
  type: string;
  id?: string;
  payload?: unknown;
}

const inbox =
  'subscription($after: Cursor) { inbox(after: $after) { __typename ... on Event { cursor } ... on ResetEvent { reason } } }';
const nobody = '00000000-0000-4000-8000-000000000000';

/** A socket as a hostile client drives it. */
class RawSocket {
  readonly messages: Message[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly ws: WebSocket;

  constructor(url: string, protocols: string[] = ['graphql-transport-ws']) {
    this.ws = new WebSocket(url, protocols);
    this.ws.on('message', (data) => this.messages.push(JSON.parse(String(data)) as Message));
    this.ws.on('error', () => undefined);
    this.closed = new Promise((resolve) =>
      this.ws.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
    );
  }

  async opened(): Promise<this> {
    if (this.ws.readyState === this.ws.CONNECTING) await new Promise((resolve) => this.ws.once('open', resolve));
    return this;
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  async init(authorization: string): Promise<this> {
    await this.opened();
    this.send({ type: 'connection_init', payload: { authorization } });
    await this.until((message) => message.type === 'connection_ack');
    return this;
  }

  subscribe(id: string, query: string, variables?: Record<string, unknown>): void {
    this.send({ id, type: 'subscribe', payload: { query, variables } });
  }

  async until(wanted: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.messages.find(wanted);
      if (found) return found;
      await new Promise((resolve) => this.ws.once('message', resolve));
    }
  }
}

describe('GraphQL over WebSocket', () => {
  let app: App;
  let token: string;
  let userId: string;
  beforeAll(async () => {
    app = await startApp();
    const signedUp = await app.rest('users.signup', {
      first_name: 'Ada',
      last_name: 'L',
      email: 'ada@sockets.test',
      password: 'correct horse',
    });
    token = `Bearer ${signedUp.body.token}`;
    userId = signedUp.body.id;
  });
  afterAll(() => app.stop());

  const open = () => new RawSocket(app.wsUrl).opened();
  const opened = async () => (await open()).init(token);
  const happen = (...kinds: ('tag.updated' | 'user.revoked')[]) =>
    transaction(systemCtx(app.core, 'test'), (tx) =>
      appendEvents(
        tx,
        kinds.map(
          (kind): DomainEvent =>
            kind === 'tag.updated'
              ? { kind, conversationId: null, payload: { tagId: nobody } }
              : { kind, conversationId: null, payload: { userId, tokenVersion: 2 } },
        ),
      ),
    );

  describe('closes with', () => {
    it('4406 without the subprotocol', async () => {
      expect((await new RawSocket(app.wsUrl, []).closed).code).toBe(4406);
    });

    it.each<[string, unknown]>([
      ['nothing', { type: 'connection_init' }],
      ['no token', { type: 'connection_init', payload: {} }],
      ['an empty token', { type: 'connection_init', payload: { authorization: '' } }],
      ['a bad token', { type: 'connection_init', payload: { authorization: 'Bearer a.b.c' } }],
      ['a token that is no text', { type: 'connection_init', payload: { authorization: { $ne: null } } }],
    ])('4403 when connection_init brings %s', async (_what, message) => {
      const socket = await open();
      socket.send(message);
      expect((await socket.closed).code).toBe(4403);
    });

    it('4408 after three seconds without connection_init', async () => {
      const startedAt = performance.now();
      expect((await (await open()).closed).code).toBe(4408);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });

    it('4401 when an operation comes before connection_init', async () => {
      const socket = await open();
      socket.subscribe('1', '{__typename}');
      expect((await socket.closed).code).toBe(4401);
    });

    it('4429 on a second connection_init', async () => {
      const socket = await opened();
      socket.send({ type: 'connection_init', payload: { authorization: token } });
      expect((await socket.closed).code).toBe(4429);
    });

    it('4409 on an id that is in use', async () => {
      const socket = await opened();
      socket.subscribe('same', inbox);
      socket.subscribe('same', inbox);
      expect((await socket.closed).code).toBe(4409);
    });

    it.each<[string, unknown]>([
      ['malformed JSON', '{"type":'],
      ['an unknown type', { type: 'start', id: '1', payload: {} }],
      ['no type', {}],
      ['a list', '[]'],
      ['a binary frame', Buffer.from('{"type":"ping"}')],
      ['a message nested 65 deep', `{"type":"ping","payload":${'{"a":'.repeat(70)}1${'}'.repeat(70)}}`],
      ['NUL in a text', '{"type":"ping","payload":{"a":"\\u0000"}}'],
      ['half of a surrogate pair', '{"type":"ping","payload":{"a":"\\ud800"}}'],
      [
        'variables that are no object',
        { type: 'subscribe', id: '1', payload: { query: '{__typename}', variables: 'x' } },
      ],
    ])('4400 on %s', async (_what, message) => {
      const socket = await opened();
      socket.send(message);
      expect((await socket.closed).code).toBe(4400);
    });

    it('1009 on a message over 100 kB', async () => {
      const socket = await opened();
      socket.subscribe('1', `{${' '.repeat(110_000)}__typename}`);
      expect((await socket.closed).code).toBe(1009);
    });

    it('4401 when its token ends', async () => {
      registerTokenKind('short', async () => ({
        kind: 'user',
        userId: nobody,
        role: 'AGENT',
        tokenVersion: 1,
        expiresAt: new Date(app.core.now().getTime() + 200),
      }));
      const shortToken = `x.${Buffer.from('{"aud":"short"}').toString('base64url')}.x`;
      const socket = await (await open()).init(shortToken);
      expect((await socket.closed).code).toBe(4401);
    });

    it('4401 within five seconds when its user is revoked, and leaves the others', async () => {
      const other = await app.rest('users.signup', {
        first_name: 'Bob',
        last_name: 'B',
        email: 'bob@sockets.test',
        password: 'correct horse',
      });
      const [mine, others] = [await opened(), await (await open()).init(other.body.token)];
      const startedAt = performance.now();
      await rows(
        app.core.em.fork(),
        sql`update user_account set token_version = token_version + 1 where id = ${userId}::uuid returning 1`,
      );
      await happen('user.revoked');
      expect((await mine.closed).code).toBe(4401);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      expect(others.ws.readyState).toBe(WebSocket.OPEN);
      others.ws.close();
      token = `Bearer ${other.body.token}`;
      userId = other.body.id;
    });
  });

  it('is offered at /graphql only', async () => {
    const status = await new Promise((resolve) => {
      const ws = new WebSocket(app.wsUrl.replace('/graphql', '/other'), 'graphql-transport-ws');
      ws.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      ws.on('error', () => undefined);
    });
    expect(status).toBe(404);
  });

  it('runs queries too, and answers ping with pong', async () => {
    const socket = await opened();
    socket.subscribe('q', '{ __typename }');
    expect((await socket.until(({ type }) => type === 'next')).payload).toEqual({ data: { __typename: 'Query' } });
    await socket.until(({ type, id }) => type === 'complete' && id === 'q');
    socket.send({ type: 'ping', payload: { a: 1 } });
    expect((await socket.until(({ type }) => type === 'pong')).payload).toEqual({ a: 1 });
    socket.ws.close();
  });

  it('is not fooled by ids that look like our own frames', async () => {
    const socket = await opened();
    const id = '","type":"next","payload":{"~":1}}';
    socket.subscribe(id, '{ __typename }');
    expect(await socket.until(({ type }) => type === 'next')).toEqual({
      id,
      type: 'next',
      payload: { data: { __typename: 'Query' } },
    });
    socket.ws.close();
  });

  it('refuses what cannot be answered soon, over all sockets together', async () => {
    // Each of them executes four at once.
    const sockets = await Promise.all(Array.from({ length: 75 }, () => opened()));
    const blocker = new pg.Client({ connectionString: app.database.url });
    await blocker.connect();
    await blocker.query('begin; lock table conversation in access exclusive mode');
    for (const socket of sockets) {
      for (let n = 1; n <= 4; n += 1) socket.subscribe(String(n), '{ conversations(first: 1) { nodes { id } } }');
    }
    const errors = sockets.map((socket) =>
      socket.until(({ type, payload }) => type === 'error' && JSON.stringify(payload).includes('too much')),
    );
    const refused = await Promise.race(errors).finally(() => blocker.end());

    expect(refused.payload).toMatchObject([
      { message: expect.stringContaining('too much arrives'), extensions: { code: 'UNAVAILABLE' } },
    ]);
    for (const socket of sockets) socket.ws.close();
  });

  it('refuses the 101st subscription of a socket and goes on', async () => {
    const socket = await opened();
    for (let index = 1; index <= 101; index += 1) socket.subscribe(String(index), inbox);
    const refused = await socket.until(({ type }) => type === 'error');
    expect(refused).toMatchObject({ id: '101', payload: [{ extensions: { code: 'TOO_LARGE' } }] });
    await happen('tag.updated');
    await socket.until(({ type, id }) => type === 'next' && id === '100');
    socket.ws.close();
  });

  describe('a subscription', () => {
    it('resumes after a cursor, without gap or double', async () => {
      const first = await opened();
      first.subscribe('1', inbox);
      // A query on the same socket is answered after the subscription stands.
      first.subscribe('q', '{ __typename }');
      await first.until(({ type, id }) => type === 'next' && id === 'q');
      await happen('tag.updated', 'tag.updated', 'tag.updated');
      await first.until(() => cursorsOf(first, '1').length === 3);
      const [one, two, three] = cursorsOf(first, '1');
      first.subscribe('2', inbox, { after: one });
      await first.until(() => cursorsOf(first, '2').length === 2);
      await happen('tag.updated');
      await first.until(() => cursorsOf(first, '2').length === 3);
      expect(cursorsOf(first, '2')).toEqual([two, three, cursorsOf(first, '1')[3]]);
      first.ws.close();
    });

    it('begins again with a reset when the cursor is of another log or of the future', async () => {
      const socket = await opened();
      socket.subscribe('now', '{ eventCursor }');
      const now = await socket.until(({ id, type }) => id === 'now' && type === 'next');
      const [epoch] = Buffer.from((now.payload as { data: { eventCursor: string } }).data.eventCursor, 'base64url')
        .toString()
        .split('/');
      for (const [id, text] of [
        ['other', `${nobody}/1/1`],
        ['future', `${epoch}/999999999999/1`],
      ] as const) {
        socket.subscribe(id, inbox, { after: Buffer.from(text).toString('base64url') });
        const reset = await socket.until((message) => message.type === 'next' && message.id === id);
        expect(reset.payload).toMatchObject({ data: { inbox: { __typename: 'ResetEvent' } } });
      }
      await happen('tag.updated');
      await socket.until(() => cursorsOf(socket, 'other').length === 2 && cursorsOf(socket, 'future').length === 2);
      socket.ws.close();
    });

    it('refuses a cursor that is none', async () => {
      const socket = await opened();
      socket.subscribe('1', inbox, { after: 'bm90IG91cnM' });
      const refused = await socket.until(({ type }) => type === 'error');
      expect(refused.payload).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', errors: [{ path: 'after' }] } }]);
      socket.ws.close();
    });
  });

  it('closes all with 1001 when the server stops', async () => {
    const own = await startApp();
    const signedUp = await own.rest('users.signup', {
      first_name: 'A',
      last_name: 'L',
      email: 'ada@stop.test',
      password: 'correct horse',
    });
    const socket = await (await new RawSocket(own.wsUrl).opened()).init(signedUp.body.token);
    socket.subscribe('1', inbox);
    await own.stop();
    expect((await socket.closed).code).toBe(1001);
  });
});

describe('a ping', () => {
  it('is answered by its own pong only', () => {
    const ws = Object.assign(new EventEmitter(), {
      OPEN: 1,
      readyState: 1,
      pings: [] as Buffer[],
      isCut: false,
      ping: (data: Buffer) => void ws.pings.push(data),
      terminate: () => {
        ws.isCut = true;
      },
    });
    const connection = new Connection(ws as unknown as WebSocket, {
      address: '',
      id: '',
      log: pino({ enabled: false }),
      onUnsent: () => undefined,
    });
    connection.ping();
    ws.emit('pong', ws.pings[0]);
    connection.ping();
    expect([ws.isCut, ws.pings.length]).toEqual([false, 2]);
    // Who does not read cannot know the second one.
    for (const guess of [ws.pings[0], Buffer.alloc(0)]) ws.emit('pong', guess);
    connection.ping();
    expect(ws.isCut).toBe(true);
  });
});

describe('slots of replays', () => {
  it('leave room for others, whoever waits first, and come back while a client is waited for', async () => {
    const slots = new FairSlots(3, 2);
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const begin = (owner: string) =>
      slots.run(owner, async () => {
        begun.push(owner);
        await new Promise<void>((resolve) => ends.push(resolve));
      });
    const all = ['a', 'a', 'a', 'a', 'b', 'c'].map(begin);
    await settle();
    expect(begun).toEqual(['a', 'a', 'b']);
    for (let ended = 0; ended < 6; ended += 1) {
      ends[ended]!();
      await settle();
    }
    await Promise.all(all);
    expect(begun.slice(3).sort()).toEqual(['a', 'a', 'c']);

    const reads: (() => void)[] = [];
    const slow = Array.from({ length: 2 }, () =>
      slots.run('a', (slot) => slot.aside(() => new Promise<void>((resolve) => reads.push(resolve)))),
    );
    await slots.run('a', async () => {
      for (const read of reads) read();
    });
    await Promise.all(slow);
  });

  const settle = () => new Promise((resolve) => setImmediate(resolve));
});

function cursorsOf(socket: RawSocket, id: string): string[] {
  return socket.messages
    .filter((message) => message.type === 'next' && message.id === id)
    .map((message) => (message.payload as { data: { inbox: { cursor: string } } }).data.inbox.cursor);
}
