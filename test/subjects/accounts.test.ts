import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Settings } from '../../src/domain/context.ts';
import { type App, type Json, type RestResult, startApp } from '../support/app.ts';

const password = 'correct horse';
let counted = 0;
function newEmail(): string {
  counted += 1;
  return `person-${counted}@accounts.test`;
}
const account = (email: string, more: Record<string, unknown> = {}) => ({
  email,
  password,
  first_name: 'Grace',
  last_name: 'Hopper',
  ...more,
});

describe('accounts', () => {
  let app: App;
  /** Settings that differ, on the same database. */
  const beside = (settings: Partial<Settings>) => startApp({ database: app.database, settings });
  const execute = (statement: string) => app.core.em.fork().execute(statement);

  beforeAll(async () => {
    app = await startApp({ settings: { signupRole: 'AGENT' } });
  });
  afterAll(() => app.stop());
  // All come from one address: no test shall wait for what another one tried.
  beforeEach(() => execute('delete from login_throttle'));

  const signUp = (email: string, more: Record<string, unknown> = {}, on: App = app) =>
    on.rest('users.signup', account(email, more));
  const logIn = (email: string, given: string = password, on: App = app, headers: Record<string, string> = {}) =>
    on.rest('users.login', { email, password: given }, { headers });
  const statusOf = ({ status }: RestResult): number => status;

  describe('sign-up', () => {
    it('answers with who it is and a token that works, and login with the same person', async () => {
      const email = newEmail();
      const signedUp = await signUp(email, { first_name: ' Ada ', last_name: 'Lovelace' });
      expect(signedUp.status).toBe(200);
      expect(signedUp.body).toEqual({
        id: expect.any(String),
        first_name: 'Ada',
        last_name: 'Lovelace',
        token: expect.any(String),
      });
      const { viewer } = await app.data('{ viewer { legacyId email role } }', {}, signedUp.body.token);
      expect(viewer).toEqual({ legacyId: signedUp.body.id, email, role: expect.stringMatching(/AGENT|ADMIN/) });
      const loggedIn = await logIn(email);
      expect([loggedIn.status, loggedIn.body.id, loggedIn.body.first_name]).toEqual([200, signedUp.body.id, 'Ada']);
    });

    it('makes one administrator of five who come first at once, and agents of the others', async () => {
      const own = await startApp({ settings: { signupRole: 'AGENT' } });
      const answers = await Promise.all(Array.from({ length: 5 }, () => signUp(newEmail(), {}, own)));
      const roles = await Promise.all(
        answers.map(async ({ body }) => (await own.data('{ viewer { role } }', {}, body.token)).viewer.role),
      );
      expect(roles.sort()).toEqual(['ADMIN', 'AGENT', 'AGENT', 'AGENT', 'AGENT']);
      await own.stop();
    });

    it('gives the later ones SIGNUP_ROLE', async () => {
      const { id } = (await signUp(newEmail())).body;
      expect(id).toBeDefined();
      const admins = await beside({ signupRole: 'ADMIN' });
      const { token } = (await signUp(newEmail(), {}, admins)).body;
      expect((await admins.data('{ viewer { role } }', {}, token)).viewer.role).toBe('ADMIN');
      await admins.stop();
    });

    it.each(['closed', 'invite'] as const)('is refused while SIGNUP_MODE is %s, whoever asks', async (signupMode) => {
      const email = newEmail();
      await signUp(email);
      const own = await beside({ signupMode });
      for (const address of [email, newEmail()]) {
        const refused = await signUp(address, {}, own);
        expect([refused.status, refused.body]).toEqual([403, { message: expect.stringContaining('closed') }]);
      }
      expect((await logIn(email, password, own)).status).toBe(200);
      await own.stop();
    });

    it.each<[string, (email: string) => string]>([
      ['in other case', (email) => email.toUpperCase()],
      ['with blanks around it', (email) => `  ${email} `],
      ['in full-width letters', (email) => email.replace('person', 'ｐｅｒｓｏｎ')],
      ['with the Kelvin sign for k', (email) => email.replace('k', '\u212A')],
    ])('takes an e-mail address %s for the same', async (_how, other) => {
      const email = `k${newEmail()}`;
      expect((await signUp(email)).status).toBe(200);
      const again = await signUp(other(email));
      expect([again.status, again.body]).toEqual([401, { message: expect.any(String) }]);
      expect((await logIn(other(email))).status).toBe(200);
    });

    // Lower case may undo what NFKC composed: the h with a line below has no capital of one character.
    it.each(['H\u0331', 'J\u030C', 'T\u0308', 'W\u030A', 'Y\u030A', 'A\u02BE', 'I\u0307'])(
      'takes %s and its small letter for the same',
      async (capital) => {
        const email = `${capital}${newEmail()}`;
        expect((await signUp(email)).status).toBe(200);
        expect((await signUp(email.toLowerCase().normalize('NFC'))).status).toBe(401);
        expect((await signUp(email.toLowerCase().normalize('NFD'))).status).toBe(401);
      },
    );

    it('A6: lets one of many win who sign up at once with one address, however it is written', async () => {
      const email = newEmail();
      const ways = [email, email.toUpperCase(), ` ${email}`, email.replace('person', 'ｐｅｒｓｏｎ'), email];
      const statuses = (await Promise.all(ways.map((way) => signUp(way)))).map(statusOf);
      expect(statuses.sort()).toEqual([200, 401, 401, 401, 401]);
      const [{ count }] = (await execute(
        `select count(*)::int from user_account where email_key = '${email}'`,
      )) as Json;
      expect(count).toBe(1);
    });

    it.each([
      ...['', 'a', '@', 'a@', '@b', 'a@b@c', 'a b@c', 'a@b\nc', `${'a'.repeat(320)}@b`],
      // What a mail program reads as a list, a name, a comment or a group.
      ...[
        'a@b.test,c',
        'a,b@c.test',
        'a;b@c.test',
        '<a@b.test>',
        'a(b)@c.test',
        '"a"@b.test',
        'a，b@c.test',
        'a\u00A8@b.test',
      ],
      // 320 characters as they come, many more by their compatibility form.
      `${'\uFDFA'.repeat(200)}@b`,
    ])('refuses the e-mail address %j and names the field', async (email) => {
      const refused = await signUp(email);
      expect([refused.status, refused.body.errors.map((one: Json) => one.path)]).toEqual([400, ['email']]);
    });

    it('tells all faults at once', async () => {
      const refused = await signUp('x', { password: ' ', first_name: '', last_name: 'x'.repeat(256) });
      expect(refused.status).toBe(400);
      expect(refused.body.errors.map((one: Json) => one.path)).toEqual([
        'email',
        'first_name',
        'last_name',
        'password',
      ]);
    });

    // In a statement it would end the text, and the database the connection.
    it('refuses NUL where it comes as an escape of the document', async () => {
      for (const field of ['email', 'password', 'firstName', 'lastName']) {
        const input = { email: newEmail(), password, firstName: 'A', lastName: 'B' };
        const literal = Object.entries(input).map(
          ([name, value]) => `${name}: "${value}${name === field ? '\\u0000' : ''}"`,
        );
        const { body } = await app.graphql(`mutation { signUp(input: { ${literal.join(', ')} }) { token } }`);
        expect([field, body.errors?.map((error: Json) => error.extensions.code)]).toEqual([field, ['BAD_USER_INPUT']]);
      }
    });
  });

  describe('A1: a password', () => {
    it.each<[string, string]>([
      ['of 5 characters', '12345'],
      ['of blanks', '          '],
      ['of 1,025 bytes', 'x'.repeat(1_025)],
      ['of 342 characters of 3 bytes', '€'.repeat(342)],
      ['that is long by its compatibility form only', '\uFDFA'.repeat(40)],
    ])('%s is refused', async (_what, refusedPassword) => {
      const refused = await signUp(newEmail(), { password: refusedPassword });
      expect([refused.status, refused.body.errors?.[0].path]).toEqual([400, 'password']);
    });

    it('with NUL is refused', async () => {
      expect((await signUp(newEmail(), { password: 'correct\0horse' })).status).toBe(400);
    });

    it.each<[string, string]>([
      ['of 6 characters', '123456'],
      ['of 1,024 bytes', 'x'.repeat(1_024)],
      ['that is 1,024 bytes after NFKC only', 'e\u0301'.repeat(512)],
      ['of emoji', '🐎🔋'],
    ])('%s is taken, and opens the account', async (_what, taken) => {
      const email = newEmail();
      expect((await signUp(email, { password: taken })).status).toBe(200);
      expect((await logIn(email, taken)).status).toBe(200);
    });

    it('is not cut at 72 bytes', async () => {
      const email = newEmail();
      await signUp(email, { password: `${'x'.repeat(72)}right` });
      expect((await logIn(email, `${'x'.repeat(72)}wrong`)).status).toBe(401);
    });

    it('is the same in any Unicode form', async () => {
      const email = newEmail();
      await signUp(email, { password: 'Zoë ﬁve' });
      expect((await logIn(email, 'Zoe\u0308 five')).status).toBe(200);
    });

    it('may have to be longer by PASSWORD_MIN_LENGTH', async () => {
      const own = await beside({ passwordMinLength: 15 });
      expect((await signUp(newEmail(), { password: 'x'.repeat(14) }, own)).body.errors[0]).toEqual({
        path: 'password',
        message: expect.stringContaining('15'),
      });
      expect((await signUp(newEmail(), { password: 'x'.repeat(15) }, own)).status).toBe(200);
      await own.stop();
    });
  });

  // NFKC takes time by the square of the marks that follow each other: these took 1.2 s of the one thread.
  describe('text that is made to be slow in NFKC', () => {
    const marks = (count: number) => `a${'\u0301'.repeat(count)}${'\u0323'.repeat(count)}`;
    const slow = marks(24_000);

    it.each<[string, number, () => Json]>([
      ['users.login', 401, () => ({ email: slow, password })],
      ['users.login', 401, () => ({ email: newEmail(), password: slow })],
      ['users.signup', 400, () => account(slow)],
      ['users.signup', 400, () => account(newEmail(), { password: slow })],
      ['users.request-password-reset', 200, () => ({ email: slow })],
      ['users.password-reset', 400, () => ({ token: 'x', new_password: slow })],
    ])('%s answers %i without holding up the others', async (name, status, body) => {
      await app.rest(name, body());
      const used = process.threadCpuUsage();
      const [answer, trivial] = await Promise.all([app.rest(name, body()), fetch(`${app.url}/health/live`)]);
      const { user, system } = process.threadCpuUsage(used);
      expect([answer.status, trivial.status]).toEqual([status, 200]);
      expect((user + system) / 1_000).toBeLessThan(50);
    });

    it('takes the same time at the longest that is looked at', async () => {
      const longest = marks(1_023);
      await logIn(newEmail(), longest);
      const used = process.threadCpuUsage();
      expect((await logIn(newEmail(), longest)).status).toBe(401);
      const { user, system } = process.threadCpuUsage(used);
      expect((user + system) / 1_000).toBeLessThan(50);
    });

    it('is a failed login like another for an address that is too long', async () => {
      const [long, unknown] = [await logIn(`${'a'.repeat(320)}@b`), await logIn(newEmail())];
      expect([long.status, long.text]).toEqual([unknown.status, unknown.text]);
    });
  });

  describe('T2: nobody learns whether an address has an account', () => {
    const shown = ({ status, text, headers }: RestResult) => {
      const kept = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name));
      return { status, text: text.replace(/"requestId":"[^"]+"/g, ''), headers: kept };
    };

    it('by login, over REST and GraphQL', async () => {
      const email = newEmail();
      await signUp(email);
      const login = 'mutation ($input: LogInInput!) { logIn(input: $input) { token } }';
      for (const wrong of ['wrong horse', '', 'x'.repeat(5_000)]) {
        const [known, unknown] = [await logIn(email, wrong), await logIn(newEmail(), wrong)];
        expect([known.status, known.text]).toEqual([401, '']);
        expect(shown(unknown)).toEqual(shown(known));
        const inGraph = (address: string) => app.graphql(login, { input: { email: address, password: wrong } });
        const [knownThere, unknownThere] = [await inGraph(email), await inGraph(newEmail())];
        expect(knownThere.body.errors[0].extensions.code).toBe('UNAUTHENTICATED');
        expect(shown(unknownThere)).toEqual(shown(knownThere));
      }
    });

    it('by the throttle of a login', async () => {
      const email = newEmail();
      await signUp(email);
      const last = async (address: string) => {
        await Promise.all(Array.from({ length: 10 }, () => logIn(address, 'wrong horse')));
        return logIn(address, 'wrong horse');
      };
      const [known, unknown] = [await last(email), await last(newEmail())];
      expect([known.status, unknown.status]).toEqual([429, 429]);
      expect(unknown.text).toBe(known.text);
    });

    it('by asking for a new password', async () => {
      const email = newEmail();
      await signUp(email);
      const ask = (address: string) => app.rest('users.request-password-reset', { email: address });
      const [known, unknown, nonsense] = [await ask(email), await ask(newEmail()), await ask('nonsense')];
      expect([known.status, known.body]).toEqual([200, {}]);
      expect(shown(unknown)).toEqual(shown(known));
      expect(shown(nonsense)).toEqual(shown(known));
    });
  });

  it('refuses a deactivated account like an unknown one', async () => {
    const email = newEmail();
    const { body } = await signUp(email);
    await execute(`update user_account set active = false where id = '${body.id}'`);
    const refused = await logIn(email);
    expect([refused.status, refused.text]).toEqual([401, '']);
    expect((await app.rest('conversations.list', {}, { token: body.token })).status).toBe(403);
  });

  describe('A2: the throttle', () => {
    const fail = async (email: string, times: number, on: App = app, headers: Record<string, string> = {}) => {
      for (let count = 0; count < times; count += 1) {
        expect((await logIn(email, 'wrong horse', on, headers)).status).toBe(401);
      }
    };
    const waits = ({ headers }: RestResult) => Number(headers.get('retry-after'));
    /** As if the wait were over. */
    const waited = () => execute('update login_throttle set blocked_until = now()');

    it('holds an account back after ten failures, the right password too, and says for how long', async () => {
      const email = newEmail();
      await signUp(email);
      await fail(email, 10);
      const refused = await logIn(email);
      expect([refused.status, refused.body]).toEqual([429, { message: expect.any(String) }]);
      expect(waits(refused)).toBe(5);
      const inGraph = await app.graphql('mutation ($input: LogInInput!) { logIn(input: $input) { token } }', {
        input: { email, password },
      });
      expect([inGraph.status, inGraph.body.errors[0].extensions.code]).toEqual([429, 'RATE_LIMITED']);
      expect(waits(inGraph)).toBe(5);
      expect((await logIn(newEmail(), 'wrong horse')).status).toBe(401);
    });

    it('waits longer after each further failure, and 15 minutes at most', async () => {
      const email = newEmail();
      await fail(email, 10);
      const seen: number[] = [];
      for (let count = 0; count < 13; count += 1) {
        await waited();
        await fail(email, 1);
        seen.push(waits(await logIn(email, 'wrong horse')));
      }
      expect(seen).toEqual([10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900, 900, 900]);
    });

    it('forgets an account at its success', async () => {
      const email = newEmail();
      await signUp(email);
      await fail(email, 10);
      await waited();
      expect((await logIn(email)).status).toBe(200);
      await fail(email, 9);
      expect((await logIn(email)).status).toBe(200);
    });

    it('forgets failures after 15 minutes', async () => {
      const email = newEmail();
      await fail(email, 10);
      await execute("update login_throttle set blocked_until = now(), window_ends_at = now() - interval '1 s'");
      await fail(email, 9);
    });

    it('counts one account however its address is written', async () => {
      const email = newEmail();
      for (const way of [email, email.toUpperCase(), ` ${email}`, email.replace('person', 'ｐｅｒｓｏｎ')])
        await fail(way, 2);
      await fail(email, 2);
      expect((await logIn(email.toUpperCase())).status).toBe(429);
    });

    it('is shared by the processes on one database', async () => {
      const email = newEmail();
      const other = await beside({});
      await fail(email, 5);
      await fail(email, 5, other);
      expect((await logIn(email)).status).toBe(429);
      expect((await logIn(email, password, other)).status).toBe(429);
      await other.stop();
    });

    it('counts sign-ins by aliases of one document too', async () => {
      const email = newEmail();
      const login = (index: number) => `a${index}: logIn(input: { email: "${email}", password: "wrong" }) { token }`;
      const document = `mutation { ${Array.from({ length: 10 }, (_, index) => login(index)).join(' ')} }`;
      // The first wrong one ends a document; were the others tried, they would count too.
      for (let count = 0; count < 10; count += 1) await app.graphql(document);
      expect((await logIn(email)).status).toBe(429);
    });

    it('holds an address back after a hundred failures, whatever X-Forwarded-For says', async () => {
      await fail(newEmail(), 1);
      await execute('update login_throttle set failures = 98');
      const email = newEmail();
      await signUp(email);
      for (const forged of ['203.0.113.1', '203.0.113.2', '::1']) {
        const headers = { 'x-forwarded-for': forged };
        const answer = await logIn(newEmail(), 'wrong horse', app, headers);
        expect(answer.status).toBe(forged === '::1' ? 429 : 401);
      }
      expect((await logIn(email)).status).toBe(429);
    });

    it('takes the address that the proxy wrote when TRUST_PROXY is on, not those before it', async () => {
      const behind = await beside({ trustProxy: true });
      await fail(newEmail(), 1, behind, { 'x-forwarded-for': '198.51.100.7' });
      await execute('update login_throttle set failures = 99');
      await fail(newEmail(), 1, behind, { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' });
      const from = (forwarded: string) => logIn(newEmail(), 'wrong horse', behind, { 'x-forwarded-for': forwarded });
      expect((await from('203.0.113.77, 198.51.100.7')).status).toBe(429);
      expect((await from('198.51.100.7, 203.0.113.77')).status).toBe(401);
      await behind.stop();
    });
  });

  describe('the throttle of sign-ups', () => {
    const signUps = (count: number) => Promise.all(Array.from({ length: count }, () => signUp(newEmail())));

    it('holds an address back after fifty, and its logins go on', async () => {
      for (let count = 0; count < 5; count += 1) {
        expect((await signUps(10)).map(statusOf)).toEqual(Array(10).fill(200));
      }
      const email = newEmail();
      const refused = await signUp(email);
      expect([refused.status, refused.body]).toEqual([429, { message: expect.any(String) }]);
      expect(Number(refused.headers.get('retry-after'))).toBe(5);
      expect((await logIn(email, 'wrong horse')).status).toBe(401);
    });

    it('does not count what is refused for its fields', async () => {
      for (let count = 0; count < 51; count += 1) expect((await signUp('x')).status).toBe(400);
      expect((await signUp(newEmail())).status).toBe(200);
    });
  });

  it('keeps turns for logins in a flood of sign-ups, and for sign-ups in a flood of logins', async () => {
    const email = newEmail();
    await signUp(email);
    const flood = Array.from({ length: 60 }, () => signUp(newEmail()));
    const login = await logIn(email);
    expect(login.status).toBe(200);
    expect(new Set((await Promise.all(flood)).map(statusOf))).toEqual(new Set([200, 503]));
    await execute('delete from login_throttle');
    const logins = Array.from({ length: 60 }, () => logIn(email));
    expect((await signUp(newEmail())).status).toBe(200);
    expect(new Set((await Promise.all(logins)).map(statusOf))).toEqual(new Set([200, 503]));
  });

  it('keeps no row of an attempt that is refused for its address', async () => {
    await logIn(newEmail(), 'wrong horse');
    await execute("update login_throttle set blocked_until = now() + interval '1 minute'");
    const count = async () => ((await execute('select count(*)::int from login_throttle')) as Json)[0].count;
    const before = await count();
    const statuses = await Promise.all(Array.from({ length: 5 }, () => logIn(newEmail())));
    expect([statuses.map(statusOf), await count()]).toEqual([Array(5).fill(429), before]);
  });

  it('A4: answers a flood of sign-ins with 503 and Retry-After, and the others stay quick', async () => {
    const email = newEmail();
    await signUp(email);
    let isOver = false;
    const trivial = (async () => {
      const tookMs: number[] = [];
      while (!isOver) {
        const startedAt = performance.now();
        await (await fetch(`${app.url}/health/live`)).text();
        tookMs.push(performance.now() - startedAt);
      }
      return tookMs.sort((one, other) => one - other);
    })();
    const answers = await Promise.all(Array.from({ length: 120 }, () => logIn(email)));
    isOver = true;
    const refused = answers.filter(({ status }) => status === 503);
    expect(new Set(answers.map(statusOf))).toEqual(new Set([200, 503]));
    for (const { headers, body } of refused) {
      expect([Number(headers.get('retry-after')) >= 1, body]).toEqual([true, { message: expect.any(String) }]);
    }
    const tookMs = await trivial;
    expect(tookMs[Math.floor(tookMs.length / 2)]).toBeLessThan(100);
    expect((await logIn(email)).status).toBe(200);
  });
});
