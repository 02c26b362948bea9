import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Row } from '../../src/rest/run-row.ts';
import { expectContract, RestGround } from '../input/rest-ground.ts';
import type { App, Json, MadeSource } from '../support/app.ts';
import { anyUuid, fieldsOf, rootFieldOf, withValue } from '../support/rest-rows.ts';

describe('R: bodies of the older contracts', () => {
  let ground: RestGround;
  let app: App;
  let rows: RestGround['rows'];
  let agent: string;
  let admin: string;
  let source: MadeSource;
  let known: Record<string, unknown>;

  beforeAll(async () => {
    ground = await RestGround.start();
    ({ app, rows, admin, source, known } = ground);
    agent = (await app.make.user()).token;
  });
  afterAll(() => app.stop());

  const open = new Set(['signUp', 'logIn', 'requestPasswordReset', 'resetPassword']);
  const bodyOf = (row: Row) => ground.bodyOf(row);
  const call = (name: string, row: Row, body: unknown) => ground.call(name, row, body);

  it('R2: says of every required field that it is missing, of several at once', async () => {
    for (const [name, row] of rows) {
      const fields = fieldsOf(row.in).filter(({ required }) => required);
      for (const field of fields) {
        const answer = await call(name, row, withValue(bodyOf(row), field.path, undefined));
        expectContract(answer);
        expect([name, answer.status, answer.body.errors]).toEqual([
          name,
          400,
          [{ path: field.name, message: 'is required' }],
        ]);
      }
      const atTop = fields.filter(({ path }) => path.length === 1).map((field) => field.name);
      if (atTop.length === 0) continue;
      const { body } = await call(name, row, {});
      expect([name, body.errors.map((fault: Json) => fault.path)]).toEqual([name, atTop]);
    }
  });

  it('R2: does not mind what it does not know', async () => {
    for (const [name, row] of rows.filter(([, one]) => !open.has(rootFieldOf(one)))) {
      // A list has no names.
      if (Array.isArray(bodyOf(row))) continue;
      const plain = await call(name, row, bodyOf(row));
      const more = {
        unknown: 1,
        $where: 'x',
        input: {},
        id: null,
        prototype: 1,
        toString: 1,
        hasOwnProperty: 1,
        ...bodyOf(row),
      };
      const answer = await call(name, row, more);
      expectContract(answer);
      // What can be done once only has been done by the first.
      if (plain.status < 300 || answer.status !== plain.status) continue;
      expect([name, answer.text]).toEqual([name, plain.text]);
    }
  });

  it.each(['null', '[]', '[{}]', '"x"', '1', 'true', '0', '""', '" "'])(
    'refuses %s instead of an object',
    async (body) => {
      for (const [name, row] of rows) {
        const answer = await call(name, row, body);
        expectContract(answer);
        // A list of nothing is a list.
        const isList = body === '[]' && Array.isArray(bodyOf(row));
        expect([name, answer.status]).toEqual([name, isList ? 201 : 400]);
      }
    },
  );

  it('R3: tells ids of another kind, and unknown ones, from bad ones', async () => {
    const statuses: Record<string, number> = {
      'conversations.info': 404,
      'conversations.read': 404,
      'messages.list': 404,
      'messages.send': 404,
      'messages.resend': 404,
      'channels.disconnect': 400,
      'sources.channels.disconnect': 403,
    };
    for (const [name, status] of Object.entries(statuses)) {
      const row = rows.find(([one]) => one === name)![1];
      const field = fieldsOf(row.in).find((one) => one.path[0]?.toString().endsWith('_id'))!;
      const others = Object.entries(known).flatMap(([of, id]) => (of.endsWith('_id') && of !== field.name ? [id] : []));
      for (const id of [anyUuid, ...others]) {
        const answer = await call(name, row, { ...bodyOf(row), message: 'x', [field.name]: id });
        expectContract(answer);
        expect([name, answer.status]).toEqual([name, status]);
      }
    }
  });

  describe('R6 to R10: JSON', () => {
    const texts = ['"x\\u0000"', '"\\u0000"', '"\\ud800"', '"x\\udc00x"', '"\\udc00\\ud800"'];

    it.each(texts)('with %s is refused, in values and keys, at any place', async (bad) => {
      for (const [name, row] of rows) {
        for (const body of [`{"x":${bad}}`, `{${bad}:1}`, `{"x":[{"y":{${bad}:[]}}]}`]) {
          const answer = await call(name, row, body);
          expectContract(answer);
          expect([name, answer.status]).toEqual([name, 400]);
        }
      }
    });

    it('hides no NUL inside an opaque id', async () => {
      const hidden = Buffer.from('Source:a\0b').toString('base64url');
      for (const name of ['sources.update', 'sources.delete', 'channels.list']) {
        const answer = await app.rest(name, { source_id: hidden, source: hidden }, { token: admin });
        expectContract(answer);
      }
      const { body } = await app.graphql('query ($id: ID!) { node(id: $id) { id } }', { id: hidden }, { token: admin });
      expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT');
    });

    it.each<[string, string]>([
      ['7,000 lists', `{"x":${'['.repeat(7_000)}${']'.repeat(7_000)}}`],
      ['16,000 objects', `${'{"a":'.repeat(16_000)}1${'}'.repeat(16_000)}`],
      // A content has 64 levels at most, the batch around it a few more.
      ['70 objects', `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`],
      ['lists that do not end', `{"x":${'['.repeat(90_000)}`],
    ])('of %s in each other is refused', async (_what, body) => {
      for (const [name, row] of rows) expect((await call(name, row, body)).status).toBe(400);
    });

    it('of 64 objects in each other is taken', async () => {
      const body = `${'{"a":'.repeat(64)}1${'}'.repeat(64)}`;
      expect((await app.rest('conversations.list', body, { token: agent })).status).toBe(200);
    });

    it.each([
      '{',
      '{"a":1,}',
      "{'a':1}",
      '{a:1}',
      '// x\n{}',
      '{} {}',
      '{"a":01}',
      '{"a":NaN}',
      '{"a":"\n"}',
      '\ufeff{}',
      'undefined',
      ' ',
    ])('that is none, such as %j, is refused', async (body) => {
      const answer = await app.rest('conversations.list', body, { token: agent });
      expectContract(answer);
      expect(answer.status).toBe(400);
    });

    it('R8: with ids that no index could hold is refused', async () => {
      for (const field of ['source_message_id', 'source_conversation_id', 'source_channel_id', 'source_sender_id']) {
        const messages = [app.make.webhookMessage({ [field]: 'x'.repeat(513) })];
        const answer = await app.rest('sources.webhook', { messages }, { token: source.token });
        expect([answer.status, answer.body.errors.map((fault: Json) => fault.path)]).toEqual([
          400,
          [`messages[0].${field}`],
        ]);
      }
    });

    it('R9: with the words of JavaScript as keys is plain data', async () => {
      const conversation = await app.make.conversation({ source });
      const content =
        '{"text":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}},"toString":"y"}';
      const body = `{"__proto__":{"polluted":3},"constructor":1,"conversation_id":"${conversation.id}","message":${content}}`;
      const sent = await app.rest('messages.send', body, { token: agent });
      expect([sent.status, JSON.stringify(sent.body.content)]).toEqual([200, expect.stringContaining('"polluted":1')]);
      const patch =
        '{"__proto__":{"polluted":4},"a":{"__proto__":{"polluted":5}},"b.__proto__.c":6,"constructor.prototype.polluted":7}';
      const metadata = `{"metadata":[{"namespace":"conversation","source_id":"${conversation.sourceConversationId}","metadata":${patch}}]}`;
      expect((await app.rest('sources.webhook', metadata, { token: source.token })).status).toBe(200);
      const info = await app.rest('conversations.info', { conversation_id: conversation.id }, { token: agent });
      expect([info.status, info.text]).toEqual([200, expect.stringContaining('"polluted":7')]);
      expect(({} as Json).polluted).toBeUndefined();
    });

    it('R10: with a key twice takes the last', async () => {
      const conversation = await app.make.conversation({ source });
      const body = `{"conversation_id":"x","conversation_id":"${conversation.id}"}`;
      expect((await app.rest('conversations.info', body, { token: agent })).status).toBe(200);
      const other = `{"conversation_id":"${conversation.id}","conversation_id":"x"}`;
      expect((await app.rest('conversations.info', other, { token: agent })).status).toBe(400);
    });
  });
});
