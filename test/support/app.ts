import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { type Client, createClient } from 'graphql-ws';
import pg from 'pg';
import { pino } from 'pino';
import { WebSocket } from 'ws';
import { loadSettings } from '../../src/config.ts';
import { createUser, userToken } from '../../src/domain/accounts/users/user.service.ts';
import { type Core, type Role, type Settings, systemCtx } from '../../src/domain/context.ts';
import { sourceThingId } from '../../src/domain/ids.ts';
import type { Mail } from '../../src/domain/mail.ts';
import { keptChecks, type Parley, type Stand, start } from '../../src/main.ts';
import { createTestDatabase } from './database.ts';
import { watchRow } from './row-watch.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers are whatever the server sent; the test says what it expects.
export type Json = any;

export interface RestResult {
  status: number;
  headers: Headers;
  text: string;
  /** Parsed JSON; undefined for an empty body. */
  body: Json;
}

export interface Caller {
  token?: string;
  headers?: Record<string, string>;
}

export interface AppOptions extends Pick<Stand, 'now' | 'mailer' | 'outbound'> {
  settings?: Partial<Settings>;
  /** Another process on the same database as this app. */
  database?: { url: string };
  /** Serve the built pages; they are there in any case when `npm run build` made them. */
  web?: boolean;
}

export interface Subscription {
  /** The next event's payload. */
  next(): Promise<Json>;
  close(): void;
}

const started: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
}, 60_000);

// Whatever a test did, what is kept beside the rows must say what they say.
async function keptFaults(databaseUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const faults: string[] = [];
    for (const check of keptChecks) {
      const { rows } = await client.query<{ what: string }>(check.faults);
      faults.push(...rows.map(({ what }) => what));
    }
    return faults;
  } finally {
    await client.end();
  }
}

/** A whole Parley in this process, on a database of its own, listening on a free port. Stopped after the file's tests. */
export async function startApp(options: AppOptions = {}) {
  const database = options.database ?? (await createTestDatabase());
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-test-'));
  const logged: string[] = [];
  const mails: Mail[] = [];
  const settings: Settings = {
    ...loadSettings({ DATABASE_URL: database.url, PORT: '0', DATA_DIR: dataDir, NODE_ENV: 'test', DB_POOL: '6' }),
    ...options.settings,
  };
  const parley = await start(settings, {
    log: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
    durability: 'ignore',
    now: options.now,
    outbound: options.outbound,
    mailer: options.mailer ?? { send: async (mail) => void mails.push(mail) },
  });
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await parley.stop();
    if ('drop' in database) {
      const wrong = await keptFaults(database.url);
      await (database as { drop(): Promise<void> }).drop();
      if (wrong.length > 0) throw new Error(`totals or places are wrong: ${wrong.slice(0, 10).join('; ')}`);
    }
    rmSync(dataDir, { recursive: true, force: true });
  };
  started.push(stop);
  return { ...clientOf(parley), database: { url: database.url }, dataDir, logged, mails, core: parley.core, stop };
}

export type App = Awaited<ReturnType<typeof startApp>>;

function clientOf({ url, core }: Parley) {
  const wsUrl = `${url.replace('http', 'ws')}/graphql`;

  async function post(path: string, body: unknown, caller: Caller): Promise<RestResult> {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(caller.token && { authorization: caller.token }),
        ...caller.headers,
      },
      body: body === undefined ? undefined : isRaw ? (body as string) : JSON.stringify(body),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, text, body: parsed(text) };
    await watchRow(path, answer);
    return answer;
  }

  const rest = (name: string, body?: unknown, caller: Caller = {}) => post(`/${name}`, body, caller);
  const graphql = (query: string, variables?: unknown, { token, headers }: Caller = {}) =>
    post(
      '/graphql',
      { query, variables },
      { headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers } },
    );

  /** The data of a GraphQL answer; fails the test when it has errors. */
  async function data(query: string, variables: unknown, token: string): Promise<Json> {
    const { body } = await graphql(query, variables, { token });
    if (body.errors) throw new Error(JSON.stringify(body.errors));
    return body.data;
  }

  function subscribe(
    query: string,
    { token, variables }: { token: string; variables?: Record<string, unknown> },
  ): Subscription {
    const client: Client = createClient({
      url: wsUrl,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      retryAttempts: 0,
      lazy: true,
    });
    const iterator = client.iterate<Json>({ query, variables });
    return {
      async next() {
        const { value, done } = await iterator.next();
        if (done) throw new Error('the subscription ended');
        if (value.errors) throw new Error(JSON.stringify(value.errors));
        return Object.values(value.data as Json)[0];
      },
      close: () => void client.dispose(),
    };
  }

  return { url, wsUrl, rest, post, graphql, data, subscribe, make: factories(core, rest, data) };
}

function parsed(text: string): Json {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

let made = 0;
function unique(): string {
  made += 1;
  return `${process.pid}-${made}`;
}

type Data = (query: string, variables: unknown, token: string) => Promise<Json>;
type Rest = (name: string, body?: unknown, caller?: Caller) => Promise<RestResult>;

export interface MadeSource {
  sourceId: string;
  token: string;
  signingSecret: string;
}

function factories(core: Core, rest: Rest, data: Data) {
  let admin: Promise<{ id: string; token: string }> | undefined;

  async function expectStatus(answer: Promise<RestResult>, status: number): Promise<Json> {
    const { status: got, text, body } = await answer;
    if (got !== status) throw new Error(`expected ${status}, got ${got}: ${text}`);
    return body;
  }

  const make = {
    /** A user with a token of the role. */
    async user({ role = 'AGENT' as Role, email = `user-${unique()}@example.com`, password = 'correct horse' } = {}) {
      const account = await createUser(systemCtx(core, 'test'), {
        email,
        password,
        firstName: 'Grace',
        lastName: 'Hopper',
        role,
      });
      return { id: account.id, email, password, token: userToken(core, account) };
    },

    /** The one administrator of the factories. */
    admin() {
      admin ??= make.user({ role: 'ADMIN' });
      return admin;
    },

    async source({
      sourceId = `source-${unique()}`,
      actionEndpoint,
    }: {
      sourceId?: string;
      actionEndpoint?: string;
    } = {}): Promise<MadeSource> {
      const { token } = await make.admin();
      const body = await expectStatus(
        rest('sources.create', { source_id: sourceId, action_endpoint: actionEndpoint }, { token }),
        200,
      );
      return { sourceId, token: body.token, signingSecret: body.signing_secret };
    },

    /** An API key; `token` is the key itself. */
    async apiKey(input: Record<string, unknown> = {}): Promise<{ id: string; token: string }> {
      const { token } = await make.admin();
      const { createApiKey } = await data(
        'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { legacyId } } }',
        { input: { name: `key-${unique()}`, kind: 'SECRET', ...input } },
        token,
      );
      return { id: createApiKey.apiKey.legacyId, token: createApiKey.key };
    },

    async channel(source: MadeSource, sourceChannelId = `channel-${unique()}`) {
      const body = await expectStatus(
        rest(
          'sources.channels.create',
          { source_channel_id: sourceChannelId, name: 'A channel' },
          { token: source.token },
        ),
        201,
      );
      return { id: body.id as string, sourceChannelId };
    },

    /** One message as `sources.webhook` takes it; what a test does not name is filled in. */
    webhookMessage(of: Record<string, unknown> = {}): Record<string, unknown> {
      return {
        source_message_id: `message-${unique()}`,
        source_conversation_id: 'conversation-1',
        source_channel_id: 'channel-1',
        source_sender_id: 'sender-1',
        content: { text: 'Hello' },
        from_contact: true,
        sent_at: 1_600_000_000_000,
        ...of,
      };
    },

    async webhook(source: MadeSource, batch: { messages?: unknown[]; metadata?: unknown[] }): Promise<Json> {
      return expectStatus(rest('sources.webhook', batch, { token: source.token }), 200);
    },

    /** A conversation with messages from its contact, on a source and channel of its own unless given. */
    async conversation({
      source,
      channel,
      displayName,
      messages = [{}],
    }: {
      source?: MadeSource;
      channel?: { id: string; sourceChannelId: string };
      displayName?: string;
      messages?: Record<string, unknown>[];
    } = {}) {
      const by = source ?? (await make.source());
      const on = channel ?? (await make.channel(by));
      const sourceConversationId = `conversation-${unique()}`;
      const place = {
        source_conversation_id: sourceConversationId,
        source_channel_id: on.sourceChannelId,
        source_sender_id: `sender-${unique()}`,
      };
      const answer = await make.webhook(by, {
        messages: messages.map((message) => make.webhookMessage({ ...place, ...message })),
        metadata: displayName
          ? [
              {
                namespace: 'conversation',
                source_id: sourceConversationId,
                metadata: { contact: { display_name: displayName } },
              },
            ]
          : [],
      });
      return {
        id: sourceThingId(by.sourceId, sourceConversationId),
        sourceConversationId,
        source: by,
        channel: on,
        place,
        messageIds: answer.data.map((item: Json) => item.id) as string[],
      };
    },
  };
  return make;
}
