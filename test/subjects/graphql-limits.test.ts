import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type GraphQLSchema, getOperationAST, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { toDomainError } from '../../src/graphql/errors.ts';
import { checkCost } from '../../src/graphql/limits.ts';
import { buildParleySchema } from '../../src/graphql/schema.ts';
import { airyCore } from '../../src/rest/contracts/airy-core.ts';
import { airySource } from '../../src/rest/contracts/airy-source.ts';
import { examples } from '../../src/web/graphiql/examples.ts';
import { startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { watchStalls } from '../support/stalls.ts';

type App = Awaited<ReturnType<typeof startApp>>;
interface Answer {
  status: number;
  codes: string[];
  errors: number;
}

const times = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => make(index)).join(' ');
const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);

/** Ids of reliability.md, G. Each is sent over HTTP and over a socket. */
const refusedDocuments: [id: string, document: string, code: string][] = [
  ['G1 depth 1,000', `{${nested('a{', '}', 1_000).replace('{}', '{b}')}}`, 'QUERY_TOO_COMPLEX'],
  ['G1 depth 5,000', `{${'a{'.repeat(5_000)}b${'}'.repeat(5_000)}}`, 'QUERY_TOO_COMPLEX'],
  ['G1 depth 11', `{${'a{'.repeat(10)}b${'}'.repeat(10)}}`, 'QUERY_TOO_COMPLEX'],
  ['G2 5,000 aliases', `{${times(5_000, (index) => `a${index}:__typename`)}}`, 'QUERY_TOO_COMPLEX'],
  ['G2 31 aliases', `{${times(31, (index) => `a${index}:__typename`)}}`, 'QUERY_TOO_COMPLEX'],
  ['G3 3,000 equal aliases', `{${times(3_000, (index) => `a:node(id:"${index}"){id}`)}}`, 'QUERY_TOO_COMPLEX'],
  ['G3 200 equal aliases', `{${times(200, (index) => `a:node(id:"${index}"){id}`)}}`, 'QUERY_TOO_COMPLEX'],
  ['G3 3,000 equal fields', `{${'__typename '.repeat(3_000)}}`, 'QUERY_TOO_COMPLEX'],
  ['G3 1,900 equal fields', `{viewer{${'id '.repeat(1_900)}}}`, 'QUERY_TOO_COMPLEX'],
  ['G3 1,600 equal fields in fragments', `{viewer{${`...{${'id '.repeat(40)}}`.repeat(40)}}}`, 'QUERY_TOO_COMPLEX'],
  ['G4 circular fragments', '{viewer{...A}} fragment A on User{...B} fragment B on User{...A}', 'QUERY_TOO_COMPLEX'],
  [
    'G4 doubling fragments',
    `{viewer{...F0}} ${times(25, (index) => `fragment F${index} on User{...F${index + 1} ...F${index + 1}}`)} fragment F25 on User{id}`,
    'QUERY_TOO_COMPLEX',
  ],
  ['G5 10,000 directives', `{__typename ${'@a '.repeat(10_000)}}`, 'QUERY_TOO_COMPLEX'],
  ['G5 900 directives', `{__typename ${'@a '.repeat(900)}}`, 'QUERY_TOO_COMPLEX'],
  ['G11 nested list literal', `{node(id:${nested('[', ']', 20_000)}){id}}`, 'QUERY_TOO_COMPLEX'],
  ['G11 nested list literal below the token limit', `{node(id:${nested('[', ']', 900)}){id}}`, 'QUERY_TOO_COMPLEX'],
  [
    'G14 200 logins',
    `mutation{${times(200, (index) => `a${index}:logIn(input:{email:"a",password:"b"}){token}`)}}`,
    'QUERY_TOO_COMPLEX',
  ],
  ['11 root fields', `{${times(11, (index) => `a${index}:__typename`)}}`, 'QUERY_TOO_COMPLEX'],
  [
    'cost above 5,000',
    '{conversations(first:100){nodes{messages(first:100){nodes{conversation{id}}}}}}',
    'QUERY_TOO_COMPLEX',
  ],
  ['G12 syntax', '{', 'GRAPHQL_PARSE_FAILED'],
  ['G12 two operations without a name', 'query A{__typename} query B{__typename}', 'OPERATION_RESOLUTION_FAILURE'],
];

describe('limits of GraphQL', () => {
  let app: App;
  let token: string;
  beforeAll(async () => {
    app = await startApp();
    const signedUp = await app.rest('users.signup', {
      first_name: 'Ada',
      last_name: 'L',
      email: 'ada@limits.test',
      password: 'correct horse',
    });
    token = signedUp.body.token;
  });
  afterAll(() => app.stop());

  async function post(
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    url = app.url,
  ): Promise<Answer> {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
      body,
    });
    return answerOf(response.status, (await response.json()) as { errors?: unknown[] });
  }
  const send = (query: string, variables?: unknown, authorization?: string) =>
    post(JSON.stringify({ query, variables }), authorization ? { authorization } : {});

  async function overSocket(query: string, variables?: Record<string, unknown>): Promise<Answer> {
    const client = createClient({
      url: app.wsUrl,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: token },
      retryAttempts: 0,
    });
    try {
      return await new Promise((resolve, reject) => {
        client.subscribe(
          { query, variables },
          {
            next: (result) => resolve(answerOf(200, result as { errors?: unknown[] })),
            error: (errors) => (Array.isArray(errors) ? resolve(answerOf(400, { errors })) : reject(errors)),
            complete: () => undefined,
          },
        );
      });
    } finally {
      await client.dispose();
    }
  }

  it.each(refusedDocuments)('%s is refused over HTTP, and nobody waits', async (_id, query, code) => {
    await send('{__typename}');
    const stall = watchStalls();
    const answer = await send(query);
    expect(answer).toMatchObject({ status: 400, codes: [code] });
    expect(stall()).toBeLessThan(50);
  });

  it.each(refusedDocuments)('%s is refused over a socket', async (_id, query, code) => {
    expect(await overSocket(query)).toMatchObject({ status: 400, codes: [code] });
  });

  it('G5 lists at most ten errors', async () => {
    const answer = await send(`{__typename ${'@nope '.repeat(49)}}`);
    expect(answer).toMatchObject({ status: 400, codes: ['GRAPHQL_VALIDATION_FAILED'] });
    expect(answer.errors).toBeLessThanOrEqual(10);
  });

  it.each([900_000, 5_000_000])('G6 a document of %i bytes is too large', async (size) => {
    expect(await post(JSON.stringify({ query: `{${' '.repeat(size)}__typename}` }))).toMatchObject({
      status: 413,
      codes: ['TOO_LARGE'],
    });
  });

  it('G7 an array of operations is refused', async () => {
    expect((await post(JSON.stringify(Array(1_000).fill({ query: '{__typename}' })))).status).toBe(400);
  });

  it('G8 a mutation by GET is refused with the method to use', async () => {
    const query = 'mutation { markConversationRead(input: { conversationId: "x" }) { changed } }';
    const response = await fetch(`${app.url}/graphql?query=${encodeURIComponent(query)}`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=iso-2022-kr',
    'application/json; charset=utf-16',
  ])('G9 a body as %s is not read', async (type) => {
    expect((await post('{"query":"{__typename}"}', { 'content-type': type })).status).toBe(415);
  });

  it('G9 a compressed body is not read', async () => {
    expect((await post('{"query":"{__typename}"}', { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  it('G11 a variable nests at most 64 deep, and __proto__ is plain data', async () => {
    const deep = `{"query":"query($v:[String]){__typename}","variables":{"v":${nested('[', ']', 40_000)}}}`;
    expect((await post(deep)).status).toBe(400);
    expect((await post('{"query":"{__typename}","variables":{"__proto__":{"x":1}}}')).status).toBe(200);
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it.each<[string, string | Uint8Array<ArrayBuffer>]>([
    ['malformed JSON', '{"query":'],
    ['bad UTF-8', Buffer.concat([Buffer.from('{"query":"{__typename #'), Buffer.from([0xff]), Buffer.from('}"}')])],
    ['no query', '{}'],
    ['null', 'null'],
    ['a text', '"{__typename}"'],
    ['a query that is no text', '{"query":{"a":1}}'],
    ['variables that are no object', '{"query":"{__typename}","variables":[1]}'],
    ['NUL', '{"query":"{__typename}","variables":{"a":"\\u0000"}}'],
    ['half of a surrogate pair', '{"query":"{__typename}","variables":{"a":"\\ud83d"}}'],
  ])('G12 %s is 400 with a JSON body', async (_name, body) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(answer.errors).toBeGreaterThan(0);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['2^31 in the document', '{conversations(first:2147483648){total}}', {}],
    ['2^31 in a variable', 'query($first:Int){conversations(first:$first){total}}', { first: 2 ** 31 }],
    ['a truth value for an id', '{conversation(id:true){id}}', {}],
    ['a page of -1', '{conversations(first:-1){total}}', {}],
    ['an id that is none', '{conversation(id:"???"){id}}', {}],
    ['an id of another type', '{conversation(id:"VXNlcjox"){id}}', {}],
  ])('G13 %s is BAD_USER_INPUT on both ways', async (_name, query, variables) => {
    for (let time = 0; time < 2; time += 1) {
      expect((await send(query, variables, token)).codes).toEqual(['BAD_USER_INPUT']);
      expect((await overSocket(query, variables)).codes).toEqual(['BAD_USER_INPUT']);
    }
  });

  it('G10 hides the schema in production, but not from admins', async () => {
    const hidden = app.core.settings;
    const was = hidden.introspection;
    hidden.introspection = false;
    try {
      const schemaQuery = JSON.stringify({ query: '{__schema{queryType{name}}}' });
      expect((await post(schemaQuery)).status).toBe(400);
      // The first who signs up is ADMIN.
      expect((await post(schemaQuery, { authorization: token })).status).toBe(200);
      const socket = await openSocket(app.wsUrl, (await app.make.user()).token);
      const word = await socket.first('{__schema{queryType{name}}}');
      expect(word).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }] });
      const guess = await socket.first('{ viewr { id } }');
      expect(guess?.payload[0].message).not.toMatch(/did you mean/i);
      socket.close();
      const response = await app.graphql('{ viewr { id } }');
      expect(response.body.errors?.[0]?.message).not.toMatch(/did you mean/i);
    } finally {
      hidden.introspection = was;
    }
  });

  it('tells at a throttled sign-in how many are taken and when the next one is', async () => {
    const query = 'mutation{logIn(input:{email:"throttled@limits.test",password:"wrong horse"}){token}}';
    let answer = await app.graphql(query);
    for (let tries = 1; answer.status !== 429 && tries < 20; tries += 1) answer = await app.graphql(query);
    expect(answer.status).toBe(429);
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', limit: 10 });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.headers.get('ratelimit-limit')).toBe('10');
    expect(answer.headers.get('ratelimit-remaining')).toBe('0');
    expect(answer.headers.get('ratelimit-reset')).toBe(answer.headers.get('retry-after'));
  });

  it('introspection as tools ask for it passes the limits', async () => {
    const { getIntrospectionQuery } = await import('graphql');
    const query = getIntrospectionQuery({
      inputValueDeprecation: true,
      directiveIsRepeatable: true,
      specifiedByUrl: true,
      schemaDescription: true,
    });
    expect(await send(query)).toEqual({ status: 200, codes: [], errors: 0 });
  });
});

describe('the cost of an operation', () => {
  let schema: GraphQLSchema;
  beforeAll(async () => {
    schema = await buildParleySchema();
  });

  function isTaken(query: string, variables: Record<string, unknown> = {}): boolean {
    const document = parse(query);
    try {
      checkCost(schema, document, getOperationAST(document)!, variables);
      return true;
    } catch (error) {
      expect((error as { extensions?: unknown }).extensions).toEqual({ code: 'QUERY_TOO_COMPLEX' });
      return false;
    }
  }

  const ids = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`);
  const listed = (count: number) => JSON.stringify(ids(count));
  // Costs 1 + 1 + 50 for each of the ids.
  const below = '{...on Conversation{messages(first:50){nodes{conversation{id}}}}}';
  const channels = (size: number) => `{channels(first:${size}){nodes{id}}}`;

  it.each<[string, string, Record<string, unknown>, boolean]>([
    ['48 ids', `{nodes(ids:${listed(48)})${below}}`, {}, true],
    ['100 ids', `{nodes(ids:${listed(100)})${below}}`, {}, false],
    ['48 ids in a variable', `query($ids:[ID!]!){nodes(ids:$ids)${below}}`, { ids: ids(48) }, true],
    ['100 ids in a variable', `query($ids:[ID!]!){nodes(ids:$ids)${below}}`, { ids: ids(100) }, false],
    ['100 ids as a default', `query($ids:[ID!]!=${listed(100)}){nodes(ids:$ids)${below}}`, {}, false],
    ['one id without a list', `{nodes(ids:"one")${below}}`, {}, true],
    ['sources, small pages', `{sources${channels(100)}}`, {}, true],
    [
      'sources, a page in a page',
      '{sources{channels(first:100){nodes{source{channels(first:1){nodes{id}}}}}}}',
      {},
      false,
    ],
    ['connected channels', '{connectedChannels{source{channels(first:100){nodes{source{id}}}}}}', {}, true],
    [
      'connected channels, deeper',
      '{connectedChannels{source{channels(first:100){nodes{source{id} s:source{id}}}}}}',
      {},
      false,
    ],
    [
      'nodes of a page count once',
      '{conversations(first:100){nodes{contact{id} lastMessage{id} channel{id}}}}',
      {},
      true,
    ],
    [
      'edges of a page count once',
      '{conversations(first:100){edges{node{contact{id} lastMessage{id} channel{id}}}}}',
      {},
      true,
    ],
  ])('%s', (_name, query, variables, taken) => {
    expect(isTaken(query, variables)).toBe(taken);
  });

  it.each(examples.map(({ query }) => [query]))('leaves the examples of the page alone', (query) => {
    expect(isTaken(query)).toBe(true);
  });

  it.each(Object.entries({ ...airyCore, ...airySource }))('leaves %s alone at its largest page', (_name, row) => {
    expect(isTaken(row.runs, { first: 100, last: 100, pageSize: 100 })).toBe(true);
  });
});

describe('faults of the database', () => {
  const fault = (message: string, code?: string): Error & { code?: string } =>
    Object.assign(new Error(message), { code });

  it.each<[string, Error & { code?: string }, string]>([
    ['a server that says nothing', fault('Query read timeout'), 'UNAVAILABLE'],
    ['a plan of an older schema', fault('cached plan must not change result type', '0A000'), 'UNAVAILABLE'],
    ['a statement the server forgot', fault('prepared statement "p1" does not exist', '26000'), 'UNAVAILABLE'],
    ['what PostgreSQL cannot do', fault('cannot do that', '0A000'), 'INTERNAL_SERVER_ERROR'],
    ['a row that is there already', fault('duplicate key value violates "users_email"', '23505'), 'CONFLICT'],
  ])('%s', (_name, error, code) => {
    expect(toDomainError(error).code).toBe(code);
    const wrapped = Object.assign(new Error('select 1 - failed', { cause: error }), { code: error.code });
    expect(toDomainError(wrapped).code).toBe(code);
  });

  it('a row that is there already is told without its name', () => {
    expect(toDomainError(fault('duplicate key value violates "users_email"', '23505')).message).toBe(
      'it exists already',
    );
  });
});

function answerOf(status: number, { errors = [] }: { errors?: unknown[] }): Answer {
  const codes = new Set(
    (errors as { extensions?: { code?: string } }[]).map((error) => error.extensions?.code ?? 'none'),
  );
  return { status, codes: [...codes], errors: errors.length };
}
