import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, type Json, startApp } from '../support/app.ts';
import { GraphSocket, openSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';

let app: App;
let token: string;
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway', outboundAllow: ['203.0.113.9:80'] } });
  ({ token } = await app.make.admin());
});

const codesOf = ({ body }: Json) => body.errors?.map((error: Json) => error.extensions.code);

describe('values of our own scalars', () => {
  const create = (endpoint: string) =>
    `mutation { createSource(input: { sourceId: "s", actionEndpoint: ${endpoint} }) { source { sourceId } } }`;

  it.each([
    ['a cursor that is a number', '{ conversations(after: 5) { nodes { id } } }'],
    ['a cursor that is a list', '{ conversations(after: ["a"]) { nodes { id } } }'],
    ['an address that is a number', create('5')],
    ['an address of another protocol', create('"ftp://203.0.113.9/"')],
  ])('refuse %s in the document', async (_what, document) => {
    expect(codesOf(await app.graphql(document, {}, { token }))).toEqual(['BAD_USER_INPUT']);
  });

  it.each<[string, string, unknown]>([
    ['a cursor that is a number', 'query ($value: Cursor) { conversations(after: $value) { nodes { id } } }', 5],
    [
      'an instant that is none',
      `mutation ($value: DateTime!) { ingest(input: { messages: [{ sourceMessageId: "m", sourceConversationId: "c",
        sourceChannelId: "h", sourceSenderId: "s", content: {}, fromContact: true, sentAt: $value }], metadata: [] })
        { items { id: messageId } } }`,
      'yesterday',
    ],
  ])('refuse %s in a variable', async (_what, document, value) => {
    expect(codesOf(await app.graphql(document, { value }, { token }))).toEqual(['BAD_USER_INPUT']);
  });

  it('take what is written in the document as they take a variable', async () => {
    const source = await app.make.source();
    const { sourceChannelId } = await app.make.channel(source);
    const document = `mutation { ingest(input: { messages: [{ sourceMessageId: "m", sourceConversationId: "c",
      sourceChannelId: "${sourceChannelId}", sourceSenderId: "s", content: { text: "Hello", n: [1, null, true] },
      fromContact: true, sentAt: "2026-01-05T09:00:00+01:00" }], metadata: [] }) { items { messageId status } } }`;
    const { items } = (await app.data(document, {}, source.token)).ingest;
    const { body } = await app.graphql(
      '{ conversations { nodes { lastMessage { legacyId sentAt raw } } } }',
      {},
      { token },
    );
    expect(body.data.conversations.nodes[0].lastMessage).toEqual({
      legacyId: items[0].messageId,
      sentAt: '2026-01-05T08:00:00.000Z',
      raw: { text: 'Hello', n: [1, null, true] },
    });
  });
});

it('a source is made once, however many ask at once', async () => {
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => app.rest('sources.create', { source_id: 'made-once' }, { token })),
  );
  expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
  for (const { status } of answers) expect([200, 400, 409]).toContain(status);
});

it.each([
  ['a fragment', 'subscription { ...All } fragment All on Subscription { inbox { __typename } }'],
  ['an inline fragment', 'subscription { ... on Subscription { inbox { __typename } } }'],
])('a subscription may be asked for in %s', async (_where, document) => {
  const socket = await openSocket(app.wsUrl, token);
  const id = socket.start(document);
  await socket.first('{ viewer { id } }');
  await app.make.conversation();
  await until(async () => socket.about(id).some(({ type }) => type === 'next'));
  socket.close();
});

describe('while the accounts cannot be read', () => {
  let operator: pg.Client;
  beforeAll(async () => {
    operator = new pg.Client({ connectionString: app.database.url });
    await operator.connect();
    await operator.query('alter table user_account rename to user_account_away');
  });
  afterAll(async () => {
    await operator.query('alter table user_account_away rename to user_account');
    await operator.end();
  });

  it('a socket is told to try again later', async () => {
    const fresh = await startApp({ database: { url: app.database.url }, settings: { ...secretsOf(app) } });
    expect(await new GraphSocket(fresh.wsUrl).init({ authorization: `Bearer ${token}` })).toBe(1013);
    await fresh.stop();
  });
});

function secretsOf({ core }: App) {
  const { jwtSecret, secretsKey } = core.settings;
  return { role: 'gateway', jwtSecret, secretsKey } as const;
}
