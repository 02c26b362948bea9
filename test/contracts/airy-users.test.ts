import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

// The users of the legacy contract's checklist: signing up and in, and resetting a password.

let app: App;
let now = Date.now();
beforeAll(async () => {
  app = await startApp({ now: () => new Date(now) });
});

let made = 0;
function newUser() {
  made += 1;
  return { email: `ada-${made}@example.com`, password: 'correct horse', first_name: 'Ada', last_name: 'King' };
}
const logIn = (email: string, password: string) => app.rest('users.login', { email, password });

describe('users.signup', () => {
  it('returns token and id; the e-mail cannot be used again, in whatever case: 401', async () => {
    const user = newUser();
    const { status, body } = await app.rest('users.signup', user);
    expect([status, typeof body.id, typeof body.token]).toEqual([200, 'string', 'string']);
    for (const email of [user.email, user.email.toUpperCase(), ` ${user.email}`]) {
      expect((await app.rest('users.signup', { ...user, email })).status).toBe(401);
    }
  });

  it('takes a password of 6 characters and refuses 5 and blanks', async () => {
    expect((await app.rest('users.signup', { ...newUser(), password: '123456' })).status).toBe(200);
    for (const password of ['12345', '', '       ']) {
      const { status, body } = await app.rest('users.signup', { ...newUser(), password });
      expect([password, status, body.errors?.[0].path]).toEqual([password, 400, 'password']);
    }
  });

  it('is 403 where signing up is closed', async () => {
    const closed = await startApp({ settings: { signupMode: 'closed' } });
    const { status, body } = await closed.rest('users.signup', newUser());
    expect([status, typeof body.message]).toEqual([403, 'string']);
    await closed.stop();
  });
});

describe('users.login', () => {
  it('returns the same id and first name, and a token that works', async () => {
    const user = newUser();
    const { body: signedUp } = await app.rest('users.signup', user);
    const { status, body } = await logIn(user.email, user.password);
    expect([status, body.id, body.first_name]).toEqual([200, signedUp.id, 'Ada']);
    expect((await app.rest('conversations.list', {}, { token: body.token })).status).toBe(200);
  });

  it('is 401 without body for a wrong password and for an unknown e-mail alike', async () => {
    const { email } = await app.make.user();
    for (const [address, password] of [
      [email, 'wrong horse'],
      ['nobody@example.com', 'wrong horse'],
      [email, ''],
    ] as const) {
      const { status, text } = await logIn(address, password);
      expect([address, password, status, text]).toEqual([address, password, 401, '']);
    }
  });

  it('is 429 with Retry-After after ten failures', async () => {
    const { email, password } = await app.make.user();
    for (let failure = 0; failure < 10; failure += 1) await logIn(email, 'wrong horse');
    const { status, headers } = await logIn(email, password);
    expect([status, Number(headers.get('retry-after')) > 0]).toEqual([429, true]);
  });

  it('gives a token that ends after a day', async () => {
    const { token } = await app.make.user();
    const day = 86_400_000;
    now += day - 1_000;
    expect((await app.rest('conversations.list', {}, { token })).status).toBe(200);
    now += 62_000;
    const { status, text } = await app.rest('conversations.list', {}, { token });
    expect([status, text]).toEqual([403, '']);
  });
});

describe('Reset', () => {
  /** Asks for a reset. @returns the token that was mailed */
  async function mailedToken(email: string): Promise<string> {
    const before = app.mails.filter(({ to }) => to === email).length;
    const { status, body } = await app.rest('users.request-password-reset', { email });
    expect([status, body]).toEqual([200, {}]);
    const mail = await until(async () => app.mails.filter(({ to }) => to === email)[before]);
    return /^ey\S+$/m.exec(mail.text)![0];
  }
  const reset = (token: string, new_password = 'battery staple') =>
    app.rest('users.password-reset', { token, new_password });

  it('the request mails once; the token sets a new password, and older tokens of the user die', async () => {
    const { email, password, token } = await app.make.user();
    const { status, body } = await reset(await mailedToken(email));
    expect([status, body]).toEqual([200, {}]);
    expect(app.mails.filter(({ to }) => to === email)).toHaveLength(1);
    expect((await logIn(email, password)).status).toBe(401);
    expect((await logIn(email, 'battery staple')).status).toBe(200);
    expect((await app.rest('conversations.list', {}, { token })).status).toBe(403);
  });

  it('a used, superseded, unknown or foreign token is 400', async () => {
    const { email, token: userToken } = await app.make.user();
    const superseded = await mailedToken(email);
    const used = await mailedToken(email);
    expect((await reset(used)).status).toBe(200);
    const { token: sourceToken } = await app.make.source();
    for (const token of [used, superseded, '', 'a-valid-reset-token', userToken, sourceToken]) {
      const { status, body } = await reset(token);
      expect([status, body.errors?.[0].path]).toEqual([400, 'token']);
    }
    expect((await logIn(email, 'battery staple')).status).toBe(200);
  });

  it('a token ends after 60 minutes', async () => {
    const { email } = await app.make.user();
    const token = await mailedToken(email);
    now += 62 * 60_000;
    expect((await reset(token)).status).toBe(400);
  });

  it('a short new password is 400 and spends no token', async () => {
    const { email } = await app.make.user();
    const token = await mailedToken(email);
    const { status, body } = await reset(token, '12345');
    expect([status, body.errors?.[0].path]).toEqual([400, 'new_password']);
    expect((await reset(token)).status).toBe(200);
  });

  it('two at once with one token: one wins', async () => {
    const { email } = await app.make.user();
    const token = await mailedToken(email);
    const answers = await Promise.all([reset(token), reset(token), reset(token)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
  });

  it('for an unknown address the request answers the same and mails nothing', async () => {
    const { status, body } = await app.rest('users.request-password-reset', { email: 'nobody@example.com' });
    await Promise.all(app.core.background);
    expect([status, body]).toEqual([200, {}]);
    expect(app.mails.filter(({ to }) => to === 'nobody@example.com')).toEqual([]);
  });
});
