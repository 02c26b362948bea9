import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type RestResult, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';

const minuteMs = 60_000;
const newPassword = 'a new battery staple';

describe('A5: a new password by mail', () => {
  let app: App;
  let clockAheadMs = 0;
  beforeAll(async () => {
    app = await startApp({
      now: () => new Date(Date.now() + clockAheadMs),
      settings: { publicUrl: 'https://parley.example' },
    });
  });
  afterAll(() => app.stop());

  const ask = (email: string) => app.rest('users.request-password-reset', { email });
  const reset = (token: string, password = newPassword, on = app) =>
    on.rest('users.password-reset', { token, new_password: password });
  const logIn = (email: string, password: string) => app.rest('users.login', { email, password });
  const mailsTo = (email: string) => app.mails.filter(({ to }) => to === email);
  const tokenIn = (text: string): string => /^[\w-]+\.[\w-]+\.[\w-]+$/m.exec(text)![0];

  /** Asks and waits for the mail, which is written after the answer. @returns its token */
  async function mailedToken(email: string): Promise<string> {
    const before = mailsTo(email).length;
    expect((await ask(email)).status).toBe(200);
    return tokenIn((await until(async () => mailsTo(email)[before])).text);
  }

  function expectSpent({ status, body }: RestResult): void {
    expect([status, body]).toEqual([
      400,
      { message: expect.any(String), errors: [{ path: 'token', message: expect.any(String) }] },
    ]);
  }

  it('sets the password: the old one ends, and so do all tokens and sockets of the person, at once', async () => {
    const user = await app.make.user();
    const socket = await openSocket(app.wsUrl, user.token);
    expect((await app.rest('conversations.list', {}, user)).status).toBe(200);
    const token = await mailedToken(user.email);
    const answer = await reset(token);
    expect([answer.status, answer.body]).toEqual([200, {}]);

    const refused = await app.rest('conversations.list', {}, user);
    expect([refused.status, refused.text]).toEqual([403, '']);
    expect(await socket.closed).toBe(4401);
    expect((await logIn(user.email, user.password)).status).toBe(401);
    const again = await logIn(user.email, newPassword);
    expect(again.status).toBe(200);
    expect((await app.rest('conversations.list', {}, { token: again.body.token })).status).toBe(200);
  });

  it('leaves the tokens of others alone', async () => {
    const [user, other] = [await app.make.user(), await app.make.user()];
    await reset(await mailedToken(user.email));
    expect((await app.rest('conversations.list', {}, other)).status).toBe(200);
    expect((await logIn(other.email, other.password)).status).toBe(200);
  });

  it('works over GraphQL too', async () => {
    const user = await app.make.user();
    const token = await mailedToken(user.email);
    const document = 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { done } }';
    const answer = await app.graphql(document, { input: { token, newPassword } });
    expect(answer.body).toEqual({ data: { resetPassword: { done: true } } });
    const { body } = await app.graphql(document, { input: { token, newPassword } });
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'token' }] });
  });

  it('takes a token once, of 20 tries at the same time', async () => {
    const user = await app.make.user();
    const token = await mailedToken(user.email);
    const tries = await Promise.all(Array.from({ length: 20 }, (_, index) => reset(token, `password ${index}`)));
    const won = tries.findIndex(({ status }) => status === 200);
    expect(tries.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(400)]);
    expect((await logIn(user.email, `password ${won}`)).status).toBe(200);
    expectSpent(await reset(token));
  });

  it('takes the newest token only', async () => {
    const user = await app.make.user();
    const [first, second] = [await mailedToken(user.email), await mailedToken(user.email)];
    expectSpent(await reset(first));
    expect((await reset(second)).status).toBe(200);
  });

  it('takes one token of those that were asked for at the same time', async () => {
    const user = await app.make.user();
    await Promise.all(Array.from({ length: 5 }, () => ask(user.email)));
    const mails = await until(async () => mailsTo(user.email).length === 5 && mailsTo(user.email));
    const statuses: number[] = [];
    for (const { text } of mails) statuses.push((await reset(tokenIn(text))).status);
    expect(statuses.sort()).toEqual([200, 400, 400, 400, 400]);
  });

  it('takes a token for 60 minutes', async () => {
    const [early, late] = [await app.make.user(), await app.make.user()];
    const tokens = [await mailedToken(early.email), await mailedToken(late.email)] as const;
    try {
      clockAheadMs = 59 * minuteMs;
      expect((await reset(tokens[0])).status).toBe(200);
      // The clocks of machines may differ by a minute.
      clockAheadMs = 61 * minuteMs + 1_000;
      expectSpent(await reset(tokens[1]));
    } finally {
      clockAheadMs = 0;
    }
    // What counts the minutes for good is the database's clock.
    await app.core.em.fork().execute('update reset_token set expires_at = now()');
    expectSpent(await reset(tokens[1]));
  });

  it('takes no token of a person who was deactivated', async () => {
    const user = await app.make.user();
    const token = await mailedToken(user.email);
    await app.core.em.fork().execute(`update user_account set active = false where id = '${user.id}'`);
    expectSpent(await reset(token));
    const mails = app.mails.length;
    await ask(user.email);
    await Promise.all(app.core.background);
    expect(app.mails.length).toBe(mails);
  });

  it.each(['', 'x', 'a.b.c', '..', 'null'])('refuses the token %j', async (token) => {
    expectSpent(await reset(token));
  });

  it('keeps the token when the new password will not do', async () => {
    const user = await app.make.user();
    const token = await mailedToken(user.email);
    for (const bad of ['12345', '      ', 'x'.repeat(1_025)]) {
      const refused = await reset(token, bad);
      expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'new_password']);
    }
    expect((await reset(token)).status).toBe(200);
  });

  it('mails whoever owns the address, however it was asked for, and nobody else', async () => {
    const user = await app.make.user();
    const mails = app.mails.length;
    for (const way of [user.email.toUpperCase(), ` ${user.email}`]) await ask(way);
    for (const other of ['nobody@example.test', 'nonsense', '', `${user.email},evil@example.test`]) await ask(other);
    await Promise.all(app.core.background);
    expect(app.mails.slice(mails).map(({ to }) => to)).toEqual([user.email, user.email]);
  });

  it('names the public address in the mail, never what the request called itself', async () => {
    // On a loopback address a foreign Host is refused before it gets here; localhost is not the public address either.
    const own = await startApp({ database: app.database, settings: { publicUrl: 'https://parley.example' } });
    const user = await own.make.user();
    const { port } = new URL(own.url);
    const headers = {
      host: `localhost:${port}`,
      'x-forwarded-host': 'evil.example',
      'content-type': 'application/json',
    };
    await new Promise((resolve, reject) => {
      const asked = request({ port, path: '/users.request-password-reset', method: 'POST', headers });
      asked.on('response', (response) => response.resume().on('end', resolve)).on('error', reject);
      asked.end(JSON.stringify({ email: user.email }));
    });
    const { text } = await until(async () => own.mails.find(({ to }) => to === user.email));
    expect(text).toContain('https://parley.example/');
    expect(text).not.toContain('evil');
    expect(text).not.toMatch(/127\.0\.0\.1|localhost/);
    await own.stop();
  });

  it('answers before the mail is written, and a mail server that fails changes nothing of it', async () => {
    const own = await startApp({
      database: app.database,
      mailer: { send: () => Promise.reject(new Error('the mail server is away')) },
    });
    const user = await app.make.user();
    const answer = await own.rest('users.request-password-reset', { email: user.email });
    expect([answer.status, answer.body]).toEqual([200, {}]);
    await Promise.all(own.core.background);
    expect(own.logged.join('')).toContain('could not be sent');
    await own.stop();
  });
});
