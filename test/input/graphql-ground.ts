import { expect } from '@jest/globals';
import { buildClientSchema, type GraphQLSchema, getIntrospectionQuery } from 'graphql';
import { type Audience, rights } from '../../src/domain/access.ts';
import { type App, type Json, type RestResult, startApp } from '../support/app.ts';
import { journeyToken } from '../support/flows.ts';
import { type Place, placesOf, refuses } from '../support/graph-places.ts';
import { type GraphSocket, openSocket } from '../support/graph-socket.ts';
import { withValue } from '../support/rest-rows.ts';
import { isReadable } from './values.ts';
import { expectNoInnards, unstalled } from './watch.ts';

/** What a client may be answered whatever it sends; faults of ours are not among them. */
const codes = new Set([
  'BAD_USER_INPUT',
  'BAD_REQUEST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'RATE_LIMITED',
  'TOO_LARGE',
  'QUERY_TOO_COMPLEX',
  'IDEMPOTENCY_MISMATCH',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);

type Tokens = Record<Exclude<Audience, 'AGENT' | 'apiKey'>, string | undefined>;

/** A Parley with one of everything, and every place of its schema where a value comes in. */
export class GraphGround {
  readonly app: App;
  readonly schema: GraphQLSchema;
  readonly places: Place[];
  readonly #tokens: Tokens;
  readonly #sockets = new Map<string, Promise<GraphSocket>>();

  static async start(): Promise<GraphGround> {
    // No worker: what the background does must not be taken for what a request wrote. Failed logins are not slowed down.
    const app = await startApp({ settings: { role: 'gateway', retryTimeScale: 1e-9 } });
    const schema = buildClientSchema((await app.graphql(getIntrospectionQuery())).body.data);
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const conversation = await app.make.conversation({ source, channel });
    const { id: apiKeyId } = await app.make.apiKey();
    const known = {
      apiKeyId,
      conversationId: conversation.id,
      messageId: conversation.messageIds[0],
      channelId: channel.id,
      sourceId: source.sourceId,
      email: 'somebody@input.test',
    };
    const tokens = {
      anonymous: undefined,
      ADMIN: (await app.make.admin()).token,
      source: source.token,
      journey: await journeyToken(app, channel.id),
    };
    // What was counted on the way here is not to be taken for what a refused request wrote.
    await app.core.legacyCalls.flush();
    return new GraphGround(app, schema, placesOf(schema, known), tokens);
  }

  private constructor(app: App, schema: GraphQLSchema, places: Place[], tokens: Tokens) {
    this.app = app;
    this.schema = schema;
    this.places = places;
    this.#tokens = tokens;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.values()) (await socket).close();
    await this.app.stop();
  }

  /** Whether the type alone forbids a value at a place. */
  isRefused({ type }: Place, value: unknown): boolean {
    return !isReadable(value) || refuses(type, value);
  }

  /** Sends a value to a place over HTTP, in a variable, and looks at whatever comes back. */
  async try(place: Place, value: unknown): Promise<void> {
    const variables = withValue(place.variables, place.path, value);
    const answer = await unstalled(() =>
      this.app.graphql(place.document, variables, {
        token: this.#tokenFor(place),
        headers: { accept: 'application/graphql-response+json' },
      }),
    );
    named(place, value, answer, () => {
      expectSound(answer);
      if (!this.isRefused(place, value)) return;
      expect(answer.status).toBe(400);
      expect(answer.body.data).toBeUndefined();
      expect([answer.body.errors[0].extensions.code]).toEqual(['BAD_USER_INPUT']);
    });
  }

  /** The same over a socket. */
  async tryOverSocket(place: Place, value: unknown): Promise<void> {
    const socket = await this.#socketFor(place);
    const variables = withValue(place.variables, place.path, value) as Record<string, unknown>;
    const id = socket.start(place.document, variables);
    const mayBeSilent = place.kind === 'subscription' && !this.isRefused(place, value);
    const word = mayBeSilent ? await socket.first('{ __typename }') : await socket.firstAbout(id);
    const errors: Json[] = (word?.type === 'error' ? word.payload : word?.payload?.errors) ?? [];
    named(place, value, JSON.stringify(word), () => {
      expectNoInnards(JSON.stringify(word ?? ''));
      for (const error of errors) expectSoundError(error);
      if (this.isRefused(place, value)) expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    });
    socket.end(id);
  }

  /** The same with the value written into the document. */
  async tryLiteral(place: Place, value: unknown): Promise<void> {
    const variables = withValue(place.variables, place.path, value) as Record<string, unknown>;
    const literals = Object.entries(variables).map(([name, given]) => [name, literalOf(given)] as const);
    if (literals.some(([, text]) => text === undefined)) return;
    const given = new Map(literals);
    const document = place.document
      .replace(/^(\w+) \(.*?\) \{/, '$1 {')
      .replaceAll(/(\w+): \$(\w+)(?:, )?/g, (_, argument, name) =>
        given.has(name) ? `${argument}: ${given.get(name)} ` : '',
      )
      .replace('()', '');
    const answer = await unstalled(() => this.app.graphql(document, undefined, { token: this.#tokenFor(place) }));
    named(place, value, answer, () => expectSound(answer));
  }

  /** The same on each way that can carry the value. */
  async tryAll(place: Place, value: unknown): Promise<void> {
    if (isReadable(value)) await this.tryOverSocket(place, value);
    if (place.kind === 'subscription') return;
    await this.try(place, value);
    await this.tryLiteral(place, value);
  }

  #tokenFor({ root }: Place): string | undefined {
    const allowed: Audience[] = rights[root as keyof typeof rights] ?? [];
    return (['anonymous', 'ADMIN', 'source'] as const).find((one) => allowed.includes(one)) === 'anonymous'
      ? undefined
      : this.#tokens[(['ADMIN', 'source', 'journey'] as const).find((one) => allowed.includes(one))!];
  }

  // One for each token: nobody comes onto a socket without.
  #socketFor(place: Place): Promise<GraphSocket> {
    const token = this.#tokenFor(place) ?? this.#tokens.ADMIN!;
    const socket = this.#sockets.get(token) ?? openSocket(this.app.wsUrl, token);
    this.#sockets.set(token, socket);
    return socket;
  }
}

function expectSound({ status, text, body }: RestResult): void {
  expect(status).toBeLessThan(500);
  expectNoInnards(text);
  for (const error of body.errors ?? []) expectSoundError(error);
}

function expectSoundError(error: Json): void {
  expect(codes).toContain(error.extensions.code);
  expect(error).toEqual({
    message: expect.any(String),
    extensions: expect.objectContaining({ requestId: expect.any(String) }),
    ...(error.path && { path: expect.any(Array) }),
    ...(error.locations && { locations: expect.any(Array) }),
  });
  expect(error.message.length).toBeLessThanOrEqual(1_000);
  for (const fault of error.extensions.errors ?? []) expect(fault.message.length).toBeLessThanOrEqual(1_000);
}

/** Says of a failed expectation which place and value it was. */
function named(place: Place, value: unknown, answer: RestResult | string, expectation: () => void): void {
  try {
    expectation();
  } catch (error) {
    const told = typeof answer === 'string' ? answer : `${answer.status} ${answer.text}`;
    throw new Error(`${place.name} = ${JSON.stringify(value)?.slice(0, 100)}: ${told.slice(0, 600)}`, { cause: error });
  }
}

// Undefined for what cannot be written as one: keys that are no names.
function literalOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) === null)
    return JSON.stringify(value);
  if (Array.isArray(value)) {
    const items = value.map(literalOf);
    return items.includes(undefined) ? undefined : `[${items.join(',')}]`;
  }
  const entries = Object.entries(value).map(([key, inner]) => [key, literalOf(inner)] as const);
  if (entries.some(([key, text]) => !/^[_A-Za-z]\w*$/.test(key) || text === undefined)) return undefined;
  return `{${entries.map(([key, text]) => `${key}:${text}`).join(',')}}`;
}
