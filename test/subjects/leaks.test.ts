import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { GraphSocket, openSocket } from '../support/graph-socket.ts';
import { send, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

/** Text that stands nowhere else, so that a hit is a leak. */
const canary = (what: string): string => `canary-${what}-${randomBytes(9).toString('hex')}`;

describe('L: secrets', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  /** Everything that must not be found, by what it is. */
  const secrets = new Map<string, string>();
  /** What the server answered, but for the few answers that tell a secret to whom it is for. */
  const answers: string[] = [];

  function secret(what: string, value = canary(what.replaceAll(' ', '-'))): string {
    secrets.set(what, value);
    return value;
  }

  async function rest(name: string, body?: unknown, caller?: Parameters<App['rest']>[2]) {
    const answer = await app.rest(name, body, caller);
    answers.push(answer.text, JSON.stringify([...answer.headers]));
    return answer;
  }

  async function graphql(...asked: Parameters<App['graphql']>) {
    const answer = await app.graphql(...asked);
    answers.push(answer.text, JSON.stringify([...answer.headers]));
    return answer;
  }

  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { outboundAllow: [endpoint.hostPort] } });
    const { jwtSecret, secretsKey } = app.core.settings;
    secret('JWT_SECRET', jwtSecret);
    secret('SECRETS_KEY', secretsKey);
    await live();
  });
  afterAll(() => app.stop());

  /** What people and sources do on a day, and what they do wrong. */
  async function live(): Promise<void> {
    const admin = await app.make.admin();
    secret('admin JWT', admin.token);
    const agent = await peopleSignIn();
    const source = await sourcesSpeak(admin.token);
    await messagesGoOut(agent, source.sourceId);
    await readEverything([admin.token, agent]);
    await fail(agent);
    await failInTheDatabase(source.token);
  }

  async function peopleSignIn(): Promise<string> {
    const email = 'ada@leaks.test';
    const password = secret('password');
    await app.rest('users.signup', { email, password, first_name: 'Ada', last_name: 'Lovelace' });
    secret('first JWT', (await app.rest('users.login', { email, password })).body.token);
    await rest('users.login', { email, password: secret('wrong password') });
    await rest('users.login', { email: 'nobody@leaks.test', password: secret('password of nobody') });
    await rest('users.signup', {
      email,
      password: secret('password of a second sign-up'),
      first_name: 'A',
      last_name: 'B',
    });
    await rest('users.signup', {
      email: 'x',
      password: secret('password of a bad sign-up'),
      first_name: '',
      last_name: '',
    });
    await rest('users.request-password-reset', { email });
    const { text } = await until(async () => app.mails.find(({ to }) => to === email));
    const reset = secret('reset token', /^[\w-]+\.[\w-]+\.[\w-]+$/m.exec(text)![0]);
    secret('reset token id', JSON.parse(Buffer.from(reset.split('.')[1]!, 'base64url').toString()).jti);
    const newPassword = secret('new password');
    await rest('users.password-reset', { token: `${reset}x`, new_password: secret('password with a bad token') });
    await rest('users.password-reset', { token: reset, new_password: newPassword });
    await rest('users.password-reset', { token: reset, new_password: secret('password with a used token') });
    return secret('JWT', (await app.rest('users.login', { email, password: newPassword })).body.token);
  }

  async function sourcesSpeak(adminToken: string) {
    const source = await app.make.source({ sourceId: 'leaks', actionEndpoint: endpoint.route(echo).url });
    secret('first source token', source.token);
    secret('first signing secret', source.signingSecret);
    const rotate = 'mutation { rotateSourceToken(input: { sourceId: "leaks" }) { token signingSecret } }';
    const { rotateSourceToken: rotated } = await app.data(rotate, {}, adminToken);
    const token = secret('source token', rotated.token);
    secret('signing secret', rotated.signingSecret);
    secret('signing key', rotated.signingSecret.slice('whsec_'.length));
    // Told in this answer only.
    const metadata = { token: secret('channel token'), theme: 'dark' };
    await app.rest('sources.channels.create', { source_channel_id: 'page', name: 'Page', metadata }, { token });
    await rest('sources.channels.list', {}, { token });
    await rest('sources.create', { source_id: 'leaks' }, { token: adminToken });
    await rest('sources.update', { source_id: 'leaks', name: 'Leaks' }, { token: adminToken });
    await rest(
      'sources.channels.create',
      { source_channel_id: '', name: '', metadata: { token: [secret('channel token in a list')] } },
      { token },
    );
    await rest(
      'sources.webhook',
      { messages: [app.make.webhookMessage({ source_channel_id: 'page', source_conversation_id: 'talk' })] },
      { token },
    );
    return { ...source, token };
  }

  /** An endpoint that says what it was told, in headers and body, first as a fault and then as a success. */
  const echo: Parameters<ActionEndpoint['route']>[0] = ({ body, attempt }) =>
    attempt === 1
      ? { status: 422, body: { error: `no: ${JSON.stringify(body)}` } }
      : { body: { source_message_id: `of-${body.payload.message.id}`, metadata: body } };

  async function messagesGoOut(token: string, sourceId: string): Promise<void> {
    const { conversations } = await app.data('{ conversations { nodes { id sourceId } } }', {}, token);
    const conversation = conversations.nodes.find((one: Json) => one.sourceId === sourceId);
    const message = await send(app, conversation, 'Hello', { token });
    expect((await settled(app, message)).deliveryState).toBe('FAILED');
    await rest('messages.resend', { message_id: message.legacyId }, { token });
    expect((await settled(app, message)).deliveryState).toBe('DELIVERED');
  }

  async function readEverything(tokens: string[]): Promise<void> {
    const fields = 'id legacyId sourceId name imageUrl actionEndpoint';
    const documents = [
      '{ viewer { id legacyId email firstName lastName avatarUrl role } }',
      `{ sources { ${fields} channels { nodes { id name metadata imageUrl sourceChannelId } } } }`,
      `{ sources { reachable lastError deliveries { id url error request response statusCode } } }`,
      '{ channels { nodes { id name metadata imageUrl source { id } } } connectedChannels { id metadata } }',
      `{ conversations { nodes { id metadata contact { displayName metadata externalId } channel { metadata }
          messages { nodes { id raw metadata failure { code message } sourceMessageId senderId
            content { __typename ... on UnknownContent { preview } } } } } } }`,
      '{ __schema { types { name description fields { name } } } }',
    ];
    for (const token of tokens) {
      for (const document of documents) await graphql(document, undefined, { token });
      for (const row of ['conversations.list', 'channels.list', 'sources.list']) await rest(row, {}, { token });
      const socket = await openSocket(app.wsUrl, token);
      for (const document of documents) answers.push(JSON.stringify(await socket.first(document)));
      socket.close();
    }
  }

  async function fail(token: string): Promise<void> {
    const password = secret('password in a document');
    const login = (more: string) =>
      `mutation { logIn(input: { email: "ada@leaks.test", password: "${password}"${more} }) { token } }`;
    for (const document of [
      login(''),
      login(', other: 1'),
      login(' '.repeat(120_000)),
      `${login('')} {`,
      login(', email: 1'),
      login(', email: "\\u0000"'),
    ]) {
      await app.graphql(document);
    }
    await app.graphql('mutation ($input: LogInInput!) { logIn(input: $input) { token } }', {
      input: { email: 1, password, other: 1 },
    });
    for (const body of [
      `{"email":"a@b","password":"${password}"`,
      `{"password":"${password}\\u0000"}`,
      `"${password}"`,
    ])
      await app.rest('users.login', body);
    await app.rest('users.login', { email: [password], password: { $ne: password } });
    await app.post('/users.login', `email=a&password=${password}`, {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });

    const strange = secret('token that is none');
    const cut = secret('token that was cut', token.slice(0, -8));
    for (const bad of [strange, cut, `${token}x`]) {
      await rest('conversations.list', {}, { token: bad });
      await graphql('{ viewer { id } }', undefined, { token: bad });
      await new GraphSocket(app.wsUrl).init({ authorization: bad });
    }
    const query = secret('token in a query');
    await rest(`conversations.list?token=${query}`, {}, { token });
    await rest(`nothing/here?token=${query}`, {}, { token });
    await (await fetch(`${app.url}/graphql?query={viewer{id}}&token=${query}`)).text();
    await (await fetch(`${app.url}/${query}?x=${query}`)).text();
    await rest(
      'conversations.list',
      {},
      { token, headers: { cookie: `token=${secret('cookie')}`, 'x-request-id': `"${secret('request id')}"` } },
    );
  }

  /** Statements that end by a lock, with what is secret among their values. */
  async function failInTheDatabase(sourceToken: string): Promise<void> {
    const password = secret('password while the database is stuck');
    const newAccount = (email: string) => ({ email, password, first_name: 'A', last_name: 'B' });
    const blocker = new pg.Client({ connectionString: app.database.url });
    await blocker.connect();
    try {
      await blocker.query('begin; lock table user_account, source, channel, channel_credentials, reset_token');
      const metadata = { token: secret('channel token while the database is stuck') };
      const stuck = Promise.all([
        rest('users.signup', newAccount('stuck@leaks.test')),
        rest('users.login', { email: 'ada@leaks.test', password }),
        graphql('mutation ($input: SignUpInput!) { signUp(input: $input) { token } }', {
          input: { email: 'stuck2@leaks.test', password, firstName: 'A', lastName: 'B' },
        }),
        rest(
          'sources.channels.create',
          { source_channel_id: 'stuck', name: 'Stuck', metadata },
          { token: sourceToken },
        ),
      ]);
      // Sooner than the timeout of statements would.
      const waiting = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await until(async () => {
        // A transaction sees what it has seen first.
        await blocker.query('select pg_stat_clear_snapshot()');
        return (await blocker.query(waiting)).rowCount === 4;
      });
      await blocker.query(`select pg_cancel_backend(pid) from (${waiting}) w`);
      expect((await stuck).map(({ status }) => status)).toEqual([503, 503, 503, 503]);
    } finally {
      await blocker.end();
    }
  }

  /** What is found, in plain or as base64 or hex: never the value itself, a failing test shall not leak it either. */
  function found(text: string, except: string[] = []): string[] {
    return [...secrets]
      .filter(([what]) => !except.includes(what))
      .filter(([, value]) => {
        const bytes = Buffer.from(value);
        const forms = [
          value,
          bytes.toString('hex'),
          bytes.toString('base64').replace(/=+$/, '').slice(0, -1),
          encodeURIComponent(value),
        ];
        return forms.some((form) => text.includes(form));
      })
      .map(([what]) => what);
  }

  it('do not stand in the log, at its most talkative', () => {
    const log = app.logged.join('');
    expect(app.logged.length).toBeGreaterThan(50);
    expect(found(log)).toEqual([]);
    expect(log).not.toContain(new URL(app.database.url).password || 'no password is set');
    // Nor what people wrote, nor the hash of a password.
    expect(log).not.toContain('$argon2');
    expect(log).not.toMatch(/insert into|update user_account/i);
  });

  it('do not stand in answers', () => {
    expect(answers.length).toBeGreaterThan(100);
    expect(found(answers.join('\n'))).toEqual([]);
  });

  it('do not stand in the database but as hashes or encrypted', async () => {
    const em = app.core.em.fork();
    const tables = await em.execute<{ tablename: string }[]>(
      "select tablename from pg_tables where schemaname = 'public'",
    );
    const dump: string[] = [];
    for (const { tablename } of tables) {
      const rows = await em.execute<{ text: string }[]>(`select t::text as text from "${tablename}" t`);
      dump.push(...rows.map(({ text }) => text));
    }
    expect(dump.join('\n')).toContain('ada@leaks.test');
    expect(dump.join('\n')).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
    expect(found(dump.join('\n'))).toEqual([]);
  });

  it('do not stand in what the database says it is doing', async () => {
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    const { rows } = await client.query('select query from pg_stat_activity where datname = current_database()');
    await client.end();
    expect(found(JSON.stringify(rows))).toEqual([]);
  });

  it('stand in a mail only where it is the one they are for', () => {
    for (const { to, subject, text } of app.mails) {
      expect(found(`${subject}${text}`)).toEqual(to === 'ada@leaks.test' ? ['reset token'] : []);
    }
  });

  it('are not sent to an action endpoint, which gets signatures', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    const conversation = await app.make.conversation({ source });
    await settled(app, await send(app, conversation));
    const [call] = route.calls;
    const told = JSON.stringify([call!.headers, call!.raw.toString()]);
    for (const value of [source.token, source.signingSecret, ...secrets.values()]) expect(told).not.toContain(value);
  });
});
