import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { buildClientSchema, type GraphQLSchema, getIntrospectionQuery, isObjectType } from 'graphql';
import pg from 'pg';
import { rights } from '../../src/domain/access.ts';
import { serverRoutes } from '../../src/server/routes-table.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { journeyToken } from '../support/flows.ts';
import { GraphSocket, openSocket } from '../support/graph-socket.ts';
import { fieldsOf, restRows, rootFieldOf, sampleBody } from '../support/rest-rows.ts';
import { type RootField, rootFieldsOf } from '../support/root-fields.ts';

const callers = ['anonymous', 'AGENT', 'ADMIN', 'source', 'apiKey', 'journey'] as const;
type Caller = (typeof callers)[number];

const signingIn: Caller[] = ['anonymous', 'AGENT', 'ADMIN'];
const user: Caller[] = ['AGENT', 'ADMIN'];
const admin: Caller[] = ['ADMIN'];
const source: Caller[] = ['source'];
const journey: Caller[] = ['journey'];

/**
 * Who may do what, written down a second time from the matrix of the specification, so that a slip in
 * `src/domain/access.ts` is seen. A new root field is added to both, or this file fails.
 */
const matrix: Record<string, Caller[]> = {
  // users.signup, users.login, users.request-password-reset, users.password-reset
  signUp: signingIn,
  logIn: signingIn,
  requestPasswordReset: signingIn,
  resetPassword: signingIn,
  // users.accept-invitation, client.config
  acceptInvitation: signingIn,
  clientConfig: signingIn,
  // users.list, users.invite, roles, deactivation
  users: user,
  inviteUser: admin,
  setUserRole: admin,
  setUserActive: admin,
  // what every signed-in person sees
  viewer: user,
  node: user,
  nodes: user,
  eventCursor: user,
  // conversations.*, messages.*
  conversations: user,
  conversation: user,
  markConversationRead: user,
  sendMessage: user,
  retryMessage: user,
  setConversationState: user,
  assignConversation: user,
  nameConversationContact: user,
  refetchConversationContact: user,
  suggestReplies: user,
  // tags on conversations, tags.*
  tagConversation: user,
  untagConversation: user,
  tags: user,
  createTag: user,
  updateTag: user,
  deleteTag: user,
  // metadata.*
  setMetadata: user,
  mergeUserData: user,
  // templates.*
  templates: user,
  template: user,
  createTemplate: admin,
  updateTemplate: admin,
  deleteTemplate: admin,
  // contacts.*
  contacts: user,
  contact: user,
  createContact: user,
  updateContact: user,
  importContacts: admin,
  deleteContact: admin,
  // channels.list, channels.info
  channel: user,
  channels: user,
  connectedChannels: user,
  // API keys, key groups
  apiKeys: admin,
  createApiKey: admin,
  updateApiKey: admin,
  revokeApiKey: admin,
  apiKeyGroups: admin,
  createApiKeyGroup: admin,
  renameApiKeyGroup: admin,
  deleteApiKeyGroup: admin,
  addApiKeysToGroup: admin,
  removeApiKeysFromGroup: admin,
  // secrets of http steps
  secrets: admin,
  createSecret: admin,
  updateSecret: admin,
  deleteSecret: admin,
  // parley compat-report
  legacyCalls: admin,
  // channels.connect, .disconnect, .explore, .update
  connectChannel: admin,
  updateChannel: admin,
  exploreChannels: admin,
  disconnectChannel: admin,
  // sources.list: id and name for agents
  sources: user,
  source: user,
  // sources.create, .update, .delete, rotateSourceToken, Source.deliveries, Source.lastError
  createSource: admin,
  updateSource: admin,
  deleteSource: admin,
  rotateSourceToken: admin,
  openOutbound: admin,
  // flows, journeys, subscriptions on journeys
  runExpression: admin,
  previewTemplate: admin,
  flows: admin,
  flow: admin,
  flowDefinitionSchema: admin,
  createFlow: admin,
  updateFlow: admin,
  publishFlow: admin,
  unpublishFlow: admin,
  deleteFlow: admin,
  journeys: admin,
  journey: admin,
  startJourney: admin,
  deliverJourneyEvent: admin,
  abortJourney: admin,
  'Subscription.journeyProgress': admin,
  'Source.actionEndpoint': admin,
  'Source.reachable': admin,
  'Source.lastError': admin,
  'Source.deliveries': admin,
  // sources.webhook, sources.channels.*
  ingest: source,
  sourceChannels: source,
  createSourceChannel: source,
  disconnectSourceChannel: source,
  // the journey link: opened by everybody but sources, then one conversation
  openJourneyLink: [...signingIn, ...journey],
  linkedConversation: journey,
  sendLinkedMessage: journey,
  'Subscription.linkedMessages': journey,
  // subscriptions
  'Subscription.inbox': user,
  'Subscription.conversation': user,
  // the server's own: the metrics for who is not on the machine itself, the detail of the health
  '/metrics': admin,
  '/health/ready detail': admin,
  // static files ask for no token; `{__typename}` does
  __typename: ['anonymous', 'AGENT', 'ADMIN', 'source', 'journey'],
};

/** Fields of a source that everybody may see who may see the source. */
const openSourceFields = ['channels', 'id', 'imageUrl', 'legacyId', 'name', 'sourceId'];

describe('the matrix of rights', () => {
  let app: App;
  let schema: GraphQLSchema;
  let rootFields: RootField[];
  let tokens: Record<Caller, string | undefined>;
  let ownSource: MadeSource;
  let channelId: string;
  let logIn: { email: string; password: string };
  /** Arguments without which a field that may be called answers with the very code that means "may not". */
  let needed: Record<string, Record<string, unknown>>;

  beforeAll(async () => {
    // No worker: what the background does must not be taken for what a caller causes.
    app = await startApp({ settings: { role: 'gateway', outboundAllow: ['203.0.113.9:80'] } });
    const introspected = await app.graphql(getIntrospectionQuery());
    schema = buildClientSchema(introspected.body.data);
    ownSource = await app.make.source();
    channelId = (await app.make.channel(ownSource)).id;
    const agent = await app.make.user({ role: 'AGENT' });
    logIn = { email: agent.email, password: agent.password };
    tokens = {
      anonymous: undefined,
      AGENT: agent.token,
      ADMIN: (await app.make.admin()).token,
      source: ownSource.token,
      apiKey: (await app.make.apiKey()).token,
      journey: await journeyToken(app, (await app.make.channel(ownSource)).id),
    };
    needed = { logIn: { input: logIn }, disconnectSourceChannel: { input: { channelId } } };
    rootFields = rootFieldsOf(schema).map((field) => ({ ...field, variables: needed[field.name] ?? field.variables }));
  });
  afterAll(() => app.stop());

  const may = (caller: Caller, name: string): boolean => matrix[name]?.includes(caller) ?? false;
  /** Keys open routes of their own, whatever those run: on /graphql they are refused as a whole. */
  const mayOnGraphql = (caller: Caller, name: string): boolean => caller !== 'apiKey' && may(caller, name);
  const refusal = (caller: Caller): string => (caller === 'anonymous' ? 'UNAUTHENTICATED' : 'FORBIDDEN');
  const isRefusal = (codes: string[]): boolean => codes.some((code) => ['UNAUTHENTICATED', 'FORBIDDEN'].includes(code));
  const codesOf = (errors: Json): string[] => (errors ?? []).map((error: Json) => error.extensions.code);

  it('lists every root field of the schema, and nothing that is not there any more', () => {
    const nested = Object.keys(rights).filter((name) => /^[A-Z]/.test(name) && !name.startsWith('Subscription.'));
    const ofRoutes = Object.keys(rights).filter((name) => name.startsWith('/'));
    const expected = [...rootFields.map(({ name }) => name), ...nested, ...ofRoutes, '__typename'];
    expect(Object.keys(rights).sort()).toEqual([...new Set(expected)].sort());
    for (const path of nested) {
      const [type, field] = path.split('.') as [string, string];
      const found = schema.getType(type);
      expect(isObjectType(found) && Object.keys(found.getFields())).toContain(field);
    }
    const paths = serverRoutes.map(({ path }) => path);
    for (const name of ofRoutes) expect(paths).toContain(name.split(' ')[0]);
  });

  it('says the same as the specification', () => {
    const sorted = (table: Record<string, readonly string[]>) =>
      Object.fromEntries(Object.entries(table).map(([name, who]) => [name, [...who].sort()]));
    expect(sorted(rights)).toEqual(sorted(matrix));
  });

  it('knows of every field of a source whether it is for administrators only', () => {
    const type = schema.getType('Source');
    const listed = Object.keys(matrix).flatMap((name) => (name.startsWith('Source.') ? name.slice(7) : []));
    expect(isObjectType(type) && Object.keys(type.getFields()).sort()).toEqual([...openSourceFields, ...listed].sort());
  });

  it.each(callers)('holds over HTTP for %s, on every root field', async (caller) => {
    for (const { name, kind, document, variables } of rootFields) {
      if (kind === 'subscription') continue;
      const { body } = await app.graphql(document, variables, { token: tokens[caller] });
      const codes = codesOf(body.errors);
      if (mayOnGraphql(caller, name)) expect([name, isRefusal(codes), codes]).toEqual([name, false, codes]);
      else {
        expect([name, codes]).toEqual([name, [refusal(caller)]]);
        expect(Object.values(body.data ?? {}).filter((value) => value !== null)).toEqual([]);
      }
    }
  });

  it.each(['AGENT', 'ADMIN', 'source', 'journey'] as const)(
    'holds on a socket for %s, subscriptions too',
    async (caller) => {
      const socket = await openSocket(app.wsUrl, tokens[caller]!);
      for (const { name, kind, document, variables } of rootFields) {
        if (kind === 'subscription' && may(caller, name)) {
          // Nothing has happened yet, so the stream stays silent or refuses: what a query beside it lets through.
          const id = socket.start(document, variables);
          await socket.first('{ __typename }');
          const said = socket.about(id).flatMap(({ type, payload }) => (type === 'error' ? codesOf(payload) : []));
          expect([name, isRefusal(said)]).toEqual([name, false]);
          continue;
        }
        const word = await socket.first(document, variables);
        const codes = codesOf(word?.type === 'error' ? word.payload : word?.payload?.errors);
        if (may(caller, name)) expect([name, isRefusal(codes), codes]).toEqual([name, false, codes]);
        else expect([name, codes]).toEqual([name, ['FORBIDDEN']]);
      }
      socket.close();
    },
  );

  it('lets an API key ask nothing on /graphql, not even for the name of the root or for the schema', async () => {
    for (const query of ['{ __typename }', getIntrospectionQuery(), '{ viewr }', '{', '']) {
      const { status, body } = await app.graphql(query, undefined, { token: tokens.apiKey });
      expect([query, status, codesOf(body.errors), body.data]).toEqual([query, 403, ['FORBIDDEN'], undefined]);
    }
    const byGet = await fetch(`${app.url}/graphql?query={__typename}`, {
      headers: { authorization: `Bearer ${tokens.apiKey}` },
    });
    expect([byGet.status, codesOf(((await byGet.json()) as Json).errors)]).toEqual([403, ['FORBIDDEN']]);
  });

  it('lets no API key onto a socket', async () => {
    for (const kind of ['SECRET', 'PUBLIC', 'ENDPOINT']) {
      const { token } = await app.make.apiKey({ kind });
      expect([kind, await new GraphSocket(app.wsUrl).init({ authorization: `Bearer ${token}` })]).toEqual([kind, 4403]);
    }
  });

  it('lets nobody onto a socket without a token', async () => {
    for (const payload of [undefined, {}, { authorization: '' }]) {
      expect(await new GraphSocket(app.wsUrl).init(payload)).toBe(4403);
    }
  });

  it.each(callers)('holds on every row of the older contracts for %s', async (caller) => {
    const answers: unknown[] = [];
    const expected: unknown[] = [];
    for (const [name, row] of await restRows()) {
      const field = rootFieldOf(row);
      const known = field === 'logIn' ? logIn : { channel_id: channelId };
      const answer = await app.rest(name, sampleBody(row.in, known), { token: tokens[caller] });
      const kind = answer.status !== 403 ? 'other' : answer.text === '' ? '403 empty' : '403 with a message';
      answers.push([name, kind]);
      expected.push([name, may(caller, field) ? 'other' : caller === 'anonymous' ? '403 empty' : '403 with a message']);
      if (kind === '403 with a message') expect(answer.body).toEqual({ message: expect.any(String) });
    }
    expect(answers).toEqual(expected);
  });

  it.each(['anonymous', 'source', 'apiKey', 'journey'] as const)(
    'tells %s nothing of the shape of what it may not call',
    async (caller) => {
      for (const [name, row] of await restRows()) {
        if (may(caller, rootFieldOf(row))) continue;
        for (const body of [
          {},
          [],
          'x',
          Object.fromEntries(fieldsOf(row.in).map((one) => [one.path[0], { $ne: null }])),
        ]) {
          const answer = await app.rest(name, JSON.stringify(body), { token: tokens[caller] });
          expect([name, answer.status, answer.body?.errors]).toEqual([name, 403, undefined]);
          if (caller === 'anonymous') expect([name, answer.text]).toEqual([name, '']);
        }
      }
    },
  );

  describe('on the routes of the server', () => {
    it('lists every route that the server has', () => {
      const found = new Set<string>();
      const folder = new URL('../../src/server/', import.meta.url);
      for (const file of readdirSync(folder)) {
        const text = readFileSync(new URL(file, folder), 'utf8');
        const routes =
          /(?:\.(?:get|post|put|patch|delete|all|options|head)(?:<.*?>)?\(|url: |pathOf\(.*?\) !== )\s*'([^']+)'/g;
        for (const [, path] of text.matchAll(routes)) found.add(path!);
      }
      expect([...found].sort()).toEqual([...new Set(serverRoutes.map(({ path }) => path))].sort());
    });

    it.each(callers)('holds for %s', async (caller) => {
      const authorization = tokens[caller] ? { authorization: `Bearer ${tokens[caller]}` } : undefined;
      for (const { path, method, audience } of serverRoutes) {
        if (method === 'WEBSOCKET') {
          const socket = new GraphSocket(app.wsUrl);
          const isOpen = audience === 'everyone' || !['anonymous', 'apiKey'].includes(caller);
          expect([path, await socket.init(authorization)]).toEqual([path, isOpen ? undefined : 4403]);
          socket.close();
          continue;
        }
        // Asked from the machine itself; from elsewhere it is looked at below.
        expect(['everyone', 'observer']).toContain(audience);
        const response = await fetch(
          `${app.url}${path.replace('*', 'none.js')}${method === 'GET' && path === '/graphql' ? '?query={__typename}' : ''}`,
          {
            method,
            redirect: 'manual',
            headers: { ...authorization, ...(method === 'POST' && { 'content-type': 'application/json' }) },
            body: method === 'POST' ? '{"query":"{__typename}"}' : undefined,
          },
        );
        const expected = caller === 'apiKey' && path === '/graphql' ? [403] : [200, 302, 404];
        expect([path, expected.includes(response.status)]).toEqual([path, true]);
        await response.arrayBuffer();
      }
    });
  });

  it.each(callers)(
    'shows %s, who asks from elsewhere, the metrics and the detail of the health by its rights',
    async (caller) => {
      const headers = {
        'x-forwarded-for': '203.0.113.7',
        ...(tokens[caller] && { authorization: `Bearer ${tokens[caller]}` }),
      };
      const metrics = await fetch(`${app.url}/metrics`, { headers });
      const expected = may(caller, '/metrics') ? 200 : caller === 'anonymous' ? 401 : 403;
      expect(metrics.status).toBe(expected);
      expect((await metrics.text()).includes('parley_')).toBe(expected === 200);
      const health = await fetch(`${app.url}/health/ready`, { headers });
      expect(health.status).toBe(200);
      const shown = Object.keys((await health.json()) as object).sort();
      expect(shown).toEqual(may(caller, '/health/ready detail') ? ['detail', 'status'] : ['status']);
    },
  );

  describe('below the root', () => {
    const restricted = ['deliveries { id }', 'lastError', 'reachable'];
    const waysToSource: [way: string, query: (fields: string) => string][] = [
      ['sources', (fields) => `{ sources { ${fields} } }`],
      ['source', (fields) => `{ source(sourceId: "$source") { ${fields} } }`],
      ['node', (fields) => `{ node(id: "$id") { ... on Source { ${fields} } } }`],
      ['nodes', (fields) => `{ nodes(ids: ["$id"]) { ... on Source { ${fields} } } }`],
      ['channels', (fields) => `{ channels { nodes { source { ${fields} } } } }`],
      ['connectedChannels', (fields) => `{ connectedChannels { source { ${fields} } } }`],
      ['conversations', (fields) => `{ conversations { nodes { channel { source { ${fields} } } } } }`],
      ['sender', (fields) => `{ conversations { nodes { lastMessage { sender { ... on Source { ${fields} } } } } } }`],
    ];

    it('refuses agents what is for administrators, on whatever way they come to a source', async () => {
      const made = await app.make.source({ actionEndpoint: 'http://203.0.113.9/canary' });
      await app.make.conversation({ source: made, messages: [{ from_contact: false }] });
      const id = Buffer.from(`Source:${made.sourceId}`).toString('base64url');
      for (const [way, query] of waysToSource) {
        const ask = (fields: string, token: string) =>
          app.graphql(query(fields).replace('$source', made.sourceId).replace('$id', id), undefined, { token });
        for (const field of restricted) {
          const refused = await ask(field, tokens.AGENT!);
          expect([way, field, new Set(codesOf(refused.body.errors))]).toEqual([way, field, new Set(['FORBIDDEN'])]);
          expect((await ask(field, tokens.ADMIN!)).body.errors).toBeUndefined();
        }
        const shown = await ask('actionEndpoint name', tokens.AGENT!);
        expect(shown.body.errors).toBeUndefined();
        expect(shown.text).toContain('"actionEndpoint":null');
        expect(shown.text).not.toContain('canary');
        expect((await ask('actionEndpoint', tokens.ADMIN!)).text).toContain('canary');
      }
      const listed = await app.rest('sources.list', undefined, { token: tokens.AGENT });
      expect(listed.status).toBe(200);
      expect(listed.text).not.toContain('canary');
    });

    it('refuses a source token what is for people, in the answers of its own operations', async () => {
      const create = (fields: string) =>
        app.graphql(
          `mutation { createSourceChannel(input: { sourceChannelId: "c", name: "c" }) { channel { source { ${fields} } } } }`,
          undefined,
          { token: ownSource.token },
        );
      for (const field of [...restricted, 'channels { nodes { id } }']) {
        expect([field, codesOf((await create(field)).body.errors)]).toEqual([field, ['FORBIDDEN']]);
      }
      const { body } = await create('sourceId actionEndpoint');
      expect(body.data.createSourceChannel.channel.source).toEqual({
        sourceId: ownSource.sourceId,
        actionEndpoint: null,
      });
    });
  });

  it('touches no table of the domain for anonymous callers', async () => {
    const seen: string[] = [];
    const { submit } = pg.Query.prototype;
    const spy = jest.spyOn(pg.Query.prototype, 'submit').mockImplementation(function (
      this: { text?: string },
      ...given
    ) {
      if (this.text) seen.push(this.text);
      return Reflect.apply(submit, this, given);
    });
    const domainTables = await tablesOf(app);
    const touched = () => {
      const tables = new RegExp(
        `\\b(?:from|into|update|join|table)\\s+(?:"?public"?\\.)?"?(${domainTables.join('|')})\\b`,
        'i',
      );
      return seen.splice(0).filter((text) => tables.test(text));
    };
    try {
      for (const { name, kind, document, variables } of rootFields) {
        if (kind === 'subscription' || may('anonymous', name)) continue;
        await app.graphql(document, variables);
      }
      for (const [name, row] of await restRows()) {
        if (may('anonymous', rootFieldOf(row))) continue;
        await app.rest(name, sampleBody(row.in, { channel_id: channelId }));
        await app.rest(name, {});
        await app.rest(name, sampleBody(row.in), { token: 'not.a.token' });
      }
      await app.graphql('{ __typename }');
      await new GraphSocket(app.wsUrl).init({ authorization: 'Bearer not.a.token' });
      expect(touched()).toEqual([]);
      // The same eyes see what a signed-in caller causes.
      await app.rest('conversations.list', {}, { token: tokens.AGENT });
      expect(touched().length).toBeGreaterThan(0);
    } finally {
      spy.mockRestore();
    }
  });
});

/** The token of a link. Its conversation begins with a message to somebody, as nobody has written yet. */
async function tablesOf(app: App): Promise<string[]> {
  const found = await app.core.em
    .fork()
    .execute<{ tablename: string }[]>("select tablename from pg_tables where schemaname = 'public'");
  // The feed reads the log of events by itself, and the calls of earlier tests are counted some seconds later.
  return found
    .map(({ tablename }) => tablename)
    .filter((name) => !['event', 'event_log', 'legacy_call'].includes(name));
}
