import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

// "Rules for every endpoint" of the legacy contract.

const unknownId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const isoInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
/** Endpoints that need a user's token, with a body that is complete. */
const userEndpoints: Record<string, Json> = {
  'conversations.list': {},
  'conversations.info': { conversation_id: unknownId },
  'conversations.read': { conversation_id: unknownId },
  'messages.list': { conversation_id: unknownId },
  'messages.send': { conversation_id: unknownId, message: { text: 'Hello' } },
  'messages.resend': { message_id: unknownId },
  'channels.list': {},
  'channels.disconnect': { channel_id: unknownId },
  'sources.create': { source_id: 'never-made' },
  'sources.list': {},
  'sources.update': { source_id: 'never-made' },
  'sources.delete': { source_id: 'never-made' },
};
const sourceEndpoints: Record<string, Json> = {
  'sources.channels.create': { source_channel_id: 'page-1', name: 'My page' },
  'sources.channels.list': {},
  'sources.channels.disconnect': { channel_id: unknownId },
  'sources.webhook': { messages: [], metadata: [] },
};
const adminEndpoints = ['channels.disconnect', 'sources.create', 'sources.update', 'sources.delete'];

let app: App;
beforeAll(async () => {
  app = await startApp({ settings: { corsOrigins: ['https://inbox.example.com'] } });
});

const agent = async () => ({ token: (await app.make.user()).token });

describe('Body', () => {
  it('no body at all counts as {}, with and without a content type', async () => {
    const { token } = await app.make.user();
    for (const type of [undefined, 'application/json', 'text/plain']) {
      const headers: Record<string, string> = type ? { 'content-type': type } : {};
      const { status } = await app.rest('conversations.list', undefined, { token, headers });
      expect([headers, status]).toEqual([headers, 200]);
    }
    const { status, body } = await app.rest('conversations.info', undefined, { token });
    expect([status, body.errors]).toEqual([400, [{ path: 'conversation_id', message: 'is required' }]]);
  });

  it('a body that is no strict JSON is 400', async () => {
    const { token } = await app.make.user();
    for (const text of [
      '{',
      "{'filters': ''}",
      '{filters: ""}',
      '{"page_size": 1,}',
      '{} {}',
      '// nothing\n{}',
      '[]',
      'null',
      '"{}"',
    ]) {
      const { status, body } = await app.rest('conversations.list', text, { token });
      expect([text, status, typeof body?.message]).toEqual([text, 400, 'string']);
    }
  });

  it('unknown fields are ignored', async () => {
    const { status } = await app.rest('conversations.list', { page_size: 1, colour: { of: 'money' } }, await agent());
    expect(status).toBe(200);
  });

  it('a body of another content type is 415, one that is too large 413', async () => {
    const { token } = await app.make.user();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json5']) {
      const headers = { 'content-type': type };
      const { status } = await app.rest('conversations.list', '{"page_size": 1}', { token, headers });
      expect([type, status]).toEqual([type, 415]);
    }
    const large = { filters: 'x'.repeat(200_000) };
    expect((await app.rest('conversations.list', large, { token })).status).toBe(413);
    const source = await app.make.source();
    const batch = JSON.stringify({ messages: [], padding: 'x'.repeat(1_100_000) });
    expect((await app.rest('sources.webhook', batch, source)).status).toBe(413);
    expect((await app.rest('sources.webhook', batch.replace(/x+/, 'x'.repeat(900_000)), source)).status).toBe(200);
  });

  it('another method is 405 with Allow: POST', async () => {
    for (const name of [...Object.keys(userEndpoints), ...Object.keys(sourceEndpoints), 'users.login']) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const response = await fetch(`${app.url}/${name}`, { method });
        expect([name, response.status, response.headers.get('allow')]).toEqual([name, 405, 'POST']);
      }
    }
  });
});

describe('Token', () => {
  it('holds the raw JWT or Bearer <JWT>', async () => {
    const { token } = await app.make.user();
    for (const text of [token, `Bearer ${token}`]) {
      expect((await app.rest('conversations.list', {}, { token: text })).status).toBe(200);
    }
    const { token: sourceToken } = await app.make.source();
    for (const text of [sourceToken, `Bearer ${sourceToken}`]) {
      expect((await app.rest('sources.channels.list', {}, { token: text })).status).toBe(200);
    }
  });

  it('is never read from a cookie', async () => {
    const { token } = await app.make.user();
    const headers = { cookie: `airy_auth_token=${token}; token=${token}` };
    const { status, text } = await app.rest('conversations.list', {}, { headers });
    expect([status, text]).toEqual([403, '']);
  });

  it('missing: 403 with an empty body, before the input is looked at', async () => {
    for (const name of [...Object.keys(userEndpoints), ...Object.keys(sourceEndpoints)]) {
      for (const body of [undefined, {}, { conversation_id: 5 }, { ...userEndpoints, ...sourceEndpoints }[name]]) {
        const { status, text } = await app.rest(name, body);
        expect([name, status, text]).toEqual([name, 403, '']);
      }
    }
  });

  it('malformed, changed or foreign: 403 with an empty body', async () => {
    const { token } = await app.make.user();
    const [head, claims, signature] = token.split('.') as [string, string, string];
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    // The last character of 32 bytes in base64url carries two bits that mean nothing: a lenient reader takes them all.
    const last = signature.at(-1)!;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const lenient = signature.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1];
    for (const bad of [
      'no-jwt',
      'a.b.c',
      `Basic ${token}`,
      `Bearer Bearer ${token}`,
      `${head}.${claims}.`,
      `${none}.${claims}.`,
      `${head}.${claims}.${lenient}`,
      `${head}.${claims}.${signature}=`,
      `${head}.${Buffer.from('{"sub":"me"}').toString('base64url')}.${signature}`,
    ]) {
      const { status, text } = await app.rest('conversations.list', {}, { token: bad });
      expect([bad, status, text]).toEqual([bad, 403, '']);
    }
  });

  it('bad beside an endpoint that is open without one: 403, not 401', async () => {
    const { email, password } = await app.make.user();
    const { status, text } = await app.rest('users.login', { email, password }, { token: 'a.b.c' });
    expect([status, text]).toEqual([403, '']);
  });

  it('of a kind that is not allowed: 403 with a message', async () => {
    const source = await app.make.source();
    for (const [name, body] of Object.entries(userEndpoints)) {
      const answer = await app.rest(name, body, source);
      expect([name, answer.status, typeof answer.body?.message]).toEqual([name, 403, 'string']);
    }
    for (const [name, body] of Object.entries(sourceEndpoints)) {
      const answer = await app.rest(name, body, await app.make.admin());
      expect([name, answer.status, typeof answer.body?.message]).toEqual([name, 403, 'string']);
    }
  });

  it('of a role that is not allowed: 403 with a message', async () => {
    for (const name of adminEndpoints) {
      const { status, body } = await app.rest(name, userEndpoints[name], await agent());
      expect([name, status, typeof body?.message]).toEqual([name, 403, 'string']);
    }
  });
});

describe('Input', () => {
  it('a missing field, a wrong type and a bad UUID are 400 with a message that names the field', async () => {
    const { token } = await app.make.admin();
    const refused: [string, Json, string][] = [
      ['conversations.info', {}, 'conversation_id'],
      ['conversations.info', { conversation_id: null }, 'conversation_id'],
      ['conversations.info', { conversation_id: 5 }, 'conversation_id'],
      ['conversations.info', { conversation_id: 'no-uuid' }, 'conversation_id'],
      ['conversations.read', { conversation_id: '' }, 'conversation_id'],
      ['messages.list', { conversation_id: `${unknownId}x` }, 'conversation_id'],
      ['messages.send', { conversation_id: unknownId }, 'message'],
      ['messages.send', { conversation_id: unknownId, message: null }, 'message'],
      ['messages.send', { conversation_id: unknownId, message: '' }, 'message'],
      ['messages.send', { conversation_id: unknownId, message: 5 }, 'message'],
      ['messages.send', { conversation_id: unknownId, message: ['text'] }, 'message'],
      ['messages.resend', { message_id: ['x'] }, 'message_id'],
      ['channels.disconnect', { channel_id: 'page-1' }, 'channel_id'],
      ['sources.create', {}, 'source_id'],
      ['sources.create', { source_id: '' }, 'source_id'],
      ['sources.create', { source_id: 'with a blank' }, 'source_id'],
      ['sources.create', { source_id: 'x'.repeat(256) }, 'source_id'],
      ['sources.create', { source_id: 'x', action_endpoint: 'ftp://example.com' }, 'action_endpoint'],
      ['sources.create', { source_id: 'x', action_endpoint: 'http://169.254.169.254/' }, 'action_endpoint'],
      ['sources.create', { source_id: 'x', image_url: 'picture.png' }, 'image_url'],
      ['users.login', { email: 'grace@example.com' }, 'password'],
      ['users.signup', { email: 'e@example.com', password: 'long enough', first_name: 'Grace' }, 'last_name'],
    ];
    for (const [name, request, field] of refused) {
      const { status, body } = await app.rest(name, request, { token });
      expect([name, request, status]).toEqual([name, request, 400]);
      expect([name, body.message]).toEqual([name, expect.stringMatching(`^${field}: `)]);
      expect([name, body.errors]).toEqual([name, [{ path: field, message: expect.any(String) }]]);
    }
  });

  it('several faults stand in errors', async () => {
    const { body } = await app.rest('users.signup', { email: 5, password: 'x' });
    expect(body.errors.map((fault: Json) => fault.path)).toEqual(['email', 'first_name', 'last_name']);
    expect(body.message).toMatch(/^email: .+\(and 2 more\)$/);
  });

  it('an unknown id is 404 with a message', async () => {
    for (const name of [
      'conversations.info',
      'conversations.read',
      'messages.list',
      'messages.send',
      'messages.resend',
    ]) {
      const { status, body } = await app.rest(name, userEndpoints[name], await agent());
      expect([name, status, typeof body.message]).toEqual([name, 404, 'string']);
    }
  });
});

describe('Answers', () => {
  it('times are ISO 8601 instants with 3 fraction digits and Z', async () => {
    const { id } = await app.make.conversation({ messages: [{ sent_at: '2021-08-31T11:27:46+02:00' }] });
    const { body } = await app.rest('conversations.info', { conversation_id: id }, await agent());
    expect(body.created_at).toBe('2021-08-31T09:27:46.000Z');
    expect(body.last_message.sent_at).toBe('2021-08-31T09:27:46.000Z');
    const sent = await app.rest('messages.send', { conversation_id: id, message: { text: 'x' } }, await agent());
    expect(sent.body.sent_at).toMatch(isoInstant);
  });

  it('ids are bare, and GraphQL shows them as legacyId', async () => {
    const { id } = await app.make.conversation();
    const { token } = await app.make.user();
    const query = '{ conversation(id: $id) { id legacyId } }';
    const bare = await app.data(`query ($id: ID!) ${query}`, { id }, token);
    expect(bare.conversation.legacyId).toBe(id);
    expect(Buffer.from(bare.conversation.id, 'base64url').toString()).toBe(`Conversation:${id}`);
    expect(await app.data(`query ($id: ID!) ${query}`, { id: bare.conversation.id }, token)).toEqual(bare);
    expect((await app.rest('conversations.info', { conversation_id: bare.conversation.id }, { token })).status).toBe(
      400,
    );
  });

  it('optional fields are null in the objects of HTTP, left out in those of Source', async () => {
    const { id, source } = await app.make.conversation({ messages: [{ from_contact: false }] });
    const { body } = await app.rest('conversations.info', { conversation_id: id }, await agent());
    expect(body.contact).toMatchObject({ id: null, avatar_url: null });
    const { body: channels } = await app.rest('sources.channels.list', {}, source);
    expect(Object.keys(channels.data[0].metadata)).toEqual(['name']);
  });

  it('the JWT of a user has the claims of the contract', async () => {
    const { id, token } = await app.make.user();
    const [head, claims] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(head!)).toMatchObject({ alg: 'HS256' });
    const read = JSON.parse(claims!);
    expect(read).toMatchObject({ aud: 'user', sub: id, user_id: id, iss: expect.any(String), jti: expect.any(String) });
    expect(read.exp - read.iat).toBe(86_400);
  });
});

describe('CORS', () => {
  const preflight = (origin: string) =>
    fetch(`${app.url}/conversations.list`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });

  it('preflight echoes an allowed origin and no other', async () => {
    const allowed = await preflight('https://inbox.example.com');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://inbox.example.com');
    expect(allowed.headers.get('access-control-allow-methods')).toContain('POST');
    const foreign = await preflight('https://other.example.com');
    expect(foreign.headers.get('access-control-allow-origin')).not.toBe('https://other.example.com');
  });

  it('X-Requested-With is ignored', async () => {
    const { token } = await app.make.user();
    const answer = await app.rest(
      'conversations.list',
      {},
      { token, headers: { 'x-requested-with': 'XMLHttpRequest' } },
    );
    expect(answer.status).toBe(200);
  });
});
