import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

// graphql-jit's own marks: it turns texts that start with them into code.
const dateMark = '__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74d';
const nanMark = '__MAGIC_NAN__57f286b9_4c20_487f_b409_79804ddcb4f8';

describe('a document that is used again', () => {
  let app: App;
  let admin: string;
  let made: Awaited<ReturnType<App['make']['conversation']>>;
  let conversationId: string;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
    const source = await app.make.source({ actionEndpoint: 'https://example.com/actions' });
    made = await app.make.conversation({ source, displayName: 'Ada', messages: [{}, {}, {}] });
    await app.make.conversation({ source, displayName: 'Grace' });
    conversationId = Buffer.from(`Conversation:${made.id}`).toString('base64url');
  });

  const ask = async (query: string, variables: Json, token: string): Promise<Json> => {
    const headers = { accept: 'application/graphql-response+json' };
    const { status, body } = await app.graphql(query, variables, { token, headers });
    for (const error of body.errors ?? []) {
      delete error.extensions.requestId;
      // The executors count the places of an error differently, and put the coercion of variables in other words.
      delete error.locations;
      if (error.path) continue;
      delete error.message;
      for (const fault of error.extensions.errors ?? []) delete fault.message;
    }
    return { status, body };
  };

  let fresh = 0;
  /** The answer of graphql-js: a document is interpreted the first time, and a comment makes it another document. */
  const interpreted = (query: string, variables: Json, token: string) => {
    fresh += 1;
    return ask(`${query} # ${fresh}`, variables, token);
  };

  /** The one answer, after it came from graphql-js and from three uses of the same document. */
  async function same(query: string, variables: Json = {}, token = admin): Promise<Json> {
    const expected = await interpreted(query, variables, token);
    for (let use = 1; use <= 3; use += 1) {
      expect({ use, variables, ...(await ask(query, variables, token)) }).toEqual({ use, variables, ...expected });
    }
    return expected.body;
  }

  describe('keeps the variables within a JSON literal', () => {
    it('of a sent content', async () => {
      const query = `mutation ($c: ID!, $t: JSON!) {
        sendMessage(input: { conversationId: $c, content: { text: $t, buttons: [$t, { deep: [$t] }] } }) { message { raw } }
      }`;
      const { data } = await same(query, { c: conversationId, t: 'hi' });
      expect(data.sendMessage.message.raw).toEqual({ text: 'hi', buttons: ['hi', { deep: ['hi'] }] });
    });

    it('of an ingested content and its metadata', async () => {
      const query = `mutation ($channel: String!, $id: String!, $t: JSON!) {
        ingest(input: {
          messages: [{ sourceMessageId: $id, sourceConversationId: "c", sourceChannelId: $channel, sourceSenderId: "s",
            content: { text: $t, list: [$t] }, fromContact: true, sentAt: 1600000000000 }]
          metadata: [{ namespace: "conversation", sourceId: "c", metadata: { note: $t } }]
        }) { items { status messageId } }
      }`;
      for (let use = 1; use <= 3; use += 1) {
        const variables = { channel: made.channel.sourceChannelId, id: `in-${use}`, t: `text ${use}` };
        const { body } = await ask(query, variables, made.source.token);
        expect(body.errors).toBeUndefined();
        const { node } = await app.data(
          'query ($id: ID!) { node(id: $id) { ... on Message { raw conversation { metadata } } } }',
          { id: Buffer.from(`Message:${body.data.ingest.items[0].messageId}`).toString('base64url') },
          admin,
        );
        expect(node.raw).toEqual({ text: `text ${use}`, list: [`text ${use}`] });
        expect(node.conversation.metadata).toMatchObject({ note: `text ${use}` });
      }
    });

    it('of the metadata of a channel', async () => {
      const query = `mutation ($id: String!, $t: JSON!) {
        createSourceChannel(input: { sourceChannelId: $id, name: "A", metadata: { region: $t, list: [$t] } }) {
          channel { metadata }
        }
      }`;
      const { data } = await same(query, { id: 'with-metadata', t: 'north' }, made.source.token);
      expect(data.createSourceChannel.channel.metadata).toMatchObject({ region: 'north', list: ['north'] });
    });

    it('and a key named __proto__', async () => {
      const query = `mutation ($c: ID!) {
        sendMessage(input: { conversationId: $c, content: { text: "x", __proto__: { a: 1 } } }) { message { raw } }
      }`;
      const { data } = await same(query, { c: conversationId });
      expect(Object.entries(data.sendMessage.message.raw)).toContainEqual(['__proto__', { a: 1 }]);
    });
  });

  it('leaves alone what an absent variable in an input object does not name', async () => {
    const query = `mutation ($s: String!, $n: String, $e: String) {
      updateSource(input: { sourceId: $s, name: $n, actionEndpoint: $e }) { source { name actionEndpoint } }
    }`;
    const { data } = await same(query, { s: made.source.sourceId, n: 'Renamed' });
    expect(data.updateSource.source).toEqual({ name: 'Renamed', actionEndpoint: 'https://example.com/actions' });
  });

  it.each(['{ n: 1e999 }', '[-1e999]', `1${'0'.repeat(309)}`])(
    'refuses a number too large with 400: %s',
    async (literal) => {
      const query = `mutation ($c: ID!) { sendMessage(input: { conversationId: $c, content: ${literal} }) { message { id } } }`;
      for (let use = 1; use <= 3; use += 1) {
        const { status, body } = await ask(query, { c: conversationId }, admin);
        expect([status, body.errors[0].extensions.code]).toEqual([400, 'BAD_USER_INPUT']);
      }
    },
  );

  it.each([
    ['an argument', (text: string) => `{ source(sourceId: "${text}") { sourceId } }`],
    [
      'a JSON key',
      (text: string) =>
        `mutation { sendMessage(input: { conversationId: "x", content: { ${text}: 1 } }) { message { id } } }`,
    ],
    [
      'an enum name in JSON',
      (text: string) => `mutation { sendMessage(input: { conversationId: "x", content: ${text} }) { message { id } } }`,
    ],
    ['a default', (text: string) => `query ($s: String! = "${text}") { source(sourceId: $s) { sourceId } }`],
  ])('never runs a text of it as code: %s', async (_where, document) => {
    await same(document(dateMark));
    await same(document(nanMark));
    await same(document(`${dateMark}globalThis.ranADocument=1`));
    expect(globalThis).not.toHaveProperty('ranADocument');
  });

  const fragmentF = 'fragment F on Conversation { id channel { id } }';
  const documents: [string, Json[]][] = [
    [
      `query ($x: Boolean!) { conversations(first: 1) { nodes { ...F @include(if: $x) ...G } } }
       ${fragmentF} fragment G on Conversation { ...F @skip(if: $x) legacyId }`,
      [{ x: false }, { x: true }],
    ],
    [
      `query ($x: Boolean!) { conversations(first: 1) { nodes { ... @include(if: $x) { ...F } ... @skip(if: $x) { ...F legacyId } } } }
       ${fragmentF}`,
      [{ x: false }, { x: true }],
    ],
    [
      `query ($x: Boolean = true) { conversations(first: 1) { nodes { channel @include(if: $x) { id } channel { name } id @skip(if: $x) } } }`,
      [{}, { x: false }, { x: true }],
    ],
    [
      `query ($x: Boolean!) { a: conversations(first: 1) @include(if: $x) { nodes { ...F } } b: conversations(first: 2) { nodes { ...F } } } ${fragmentF}`,
      [{ x: false }, { x: true }],
    ],
    [`{ conversations(first: 2) { nodes { ...F ...F } nodes { ...F legacyId } } } ${fragmentF}`, [{}]],
    [
      'query ($first: Int, $after: Cursor, $filter: String) { conversations(first: $first, after: $after, filter: $filter) { nodes { id } total } }',
      [{}, { first: null }, { first: 1 }, { first: 1, after: null }, { filter: 'display_name:Ada' }, { first: 'one' }],
    ],
    ['query ($first: Int = 1) { conversations(first: $first) { nodes { id } } }', [{}, { first: null }, { first: 2 }]],
    ['query ($first: Int! = 1) { conversations(first: $first) { nodes { id } } }', [{}, { first: null }, { first: 2 }]],
    [
      'query ($last: Int = 5, $failed: Boolean = false, $s: String!) { source(sourceId: $s) { deliveries(last: $last, onlyFailed: $failed) { id } } }',
      [{ s: 'nobody' }, { s: 'nobody', last: null }, {}],
    ],
    ['query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }', [{ ids: [] }, { ids: 'x' }, { ids: [null] }, {}]],
    ['query ($b: ID!) { nodes(ids: [$b]) { id } conversation(id: $b) { id } }', [{ b: 'x' }]],
    ['{ __proto__: __typename constructor: __typename toString: __typename }', [{}]],
    [
      'mutation ($input: UpdateSourceInput!) { updateSource(input: $input) { source { name actionEndpoint } } }',
      [
        { input: {} },
        { input: { sourceId: 'nobody' } },
        { input: { sourceId: 'nobody', name: null } },
        { input: null },
      ],
    ],
  ];
  it.each(documents)('answers as graphql-js does: %s', async (query, given) => {
    for (const variables of given) await same(query, variables);
  });

  it('answers as graphql-js does for selections put together at random', async () => {
    const random = seeded(20_240_607);
    const failing: string[] = [];
    for (let round = 0; round < 30; round += 1) {
      const query = randomDocument(random);
      const variables = { x: random() < 0.5, y: random() < 0.5, ...(random() < 0.5 && { first: 1 }) };
      const expected = await interpreted(query, variables, admin);
      expect(expected.body.errors).toBeUndefined();
      for (let use = 1; use <= 3; use += 1) {
        const answer = await ask(query, variables, admin);
        if (JSON.stringify(answer) !== JSON.stringify(expected)) failing.push(`${JSON.stringify(variables)} ${query}`);
      }
    }
    expect(failing).toEqual([]);
  });
});

/** Numbers from 0 to 1, the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function randomDocument(random: () => number): string {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const isDirected = random() < 0.5;
  const directive = () =>
    isDirected ? pick(['', '', '@include(if: $x)', '@skip(if: $x)', '@include(if: $y)', '@skip(if: $y)']) : '';
  const parts = (depth: number, names: readonly string[]): string => {
    const chosen = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      const kind = random();
      if (kind < 0.3 && names.length > 0) return `...${pick(names)} ${directive()}`;
      if (kind < 0.45 && depth > 0) return `... on Conversation ${directive()} { ${parts(depth - 1, names)} }`;
      return pick([
        `id ${directive()}`,
        `legacyId ${directive()}`,
        `unreadCount ${directive()}`,
        `channel ${directive()} { id name ${directive()} }`,
        `channel { legacyId ${directive()} source ${directive()} { sourceId } }`,
        `contact ${directive()} { displayName }`,
        `named: channel ${directive()} { name }`,
      ]);
    });
    return `__typename ${chosen.join(' ')}`;
  };
  const list = () => `conversations(first: ${pick(['$first', '2', '1'])}) ${directive()}`;
  // The variables are all used whatever is chosen; fragments spread only those after them.
  const [head, used] = isDirected
    ? ['($x: Boolean!, $y: Boolean!, $first: Int)', '@include(if: $x) { __typename total @skip(if: $y) }']
    : ['($first: Int)', '{ total }'];
  return `query ${head} {
    used: conversations(first: $first) ${used}
    a: ${list()} { nodes { ...A ${parts(2, ['B', 'C'])} } }
    b: ${list()} { nodes { ${parts(2, ['A', 'B', 'C'])} } nodes { ...B ...C } }
  }
  fragment A on Conversation { ${parts(1, ['B', 'C'])} }
  fragment B on Conversation { ${parts(1, ['C'])} }
  fragment C on Conversation { ${parts(1, [])} }`;
}
