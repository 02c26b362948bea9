import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

// Contacts, templates, people and client.config of the legacy contract, section 6 and its checklist.

let app: App;
let agent: { id: string; token: string };
let admin: { id: string; token: string };
beforeAll(async () => {
  app = await startApp();
  agent = await app.make.user();
  admin = await app.make.admin();
});

const unknownId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const call = async (name: string, request?: Json, caller: { token?: string } = agent) => {
  const { status, body, text } = await app.rest(name, request, caller);
  return { status, body, text };
};

describe('Contacts', () => {
  const ada = {
    display_name: 'Ada Lovelace',
    avatar_url: 'https://x.example/ada.png',
    title: 'Countess',
    timezone: -3,
    locale: 'en_GB',
    gender: 'f',
    organization_name: 'Analytical Engines',
    via: { phone: '+4930901820', email: 'ada@example.com' },
    address: { address_line1: '123 Fake St', city: 'London', country: 'GB' },
  };
  const create = async (fields: Json = ada): Promise<Json> => (await call('contacts.create', fields)).body;
  const info = async (request: Json): Promise<Json> => (await call('contacts.info', request)).body;

  it('create: 201 with all fields; an empty create is 400', async () => {
    const { status, body } = await call('contacts.create', ada);
    expect(status).toBe(201);
    const address = { ...ada.address, organization_name: null, address_line2: null, postcode: null, state: null };
    const shown = { ...ada, address, id: body.id, given_name: 'Ada', family_name: 'Lovelace', conversations: {} };
    expect(body).toEqual(shown);
    expect(await info({ id: body.id })).toEqual(shown);
    for (const empty of [undefined, {}, { display_name: '' }, { via: null }]) {
      expect((await call('contacts.create', empty)).status).toBe(400);
    }
  });

  it('create: 400 for what is wrong, by name', async () => {
    const wrong = {
      avatar_url: 'nowhere',
      title: 'a\nb',
      via: { x: 'y'.repeat(600) },
      address: { city: '\u0007' },
    };
    const { status, body } = await call('contacts.create', wrong);
    expect(body).toHaveProperty('errors');
    const paths = body.errors.map((fault: Json) => fault.path).sort();
    expect([status, paths]).toEqual([400, ['address.city', 'avatar_url', 'title', 'via.x']]);
  });

  it('update writes the given fields only; via and address are merged by key, null removes a key', async () => {
    const { id, ...before } = await create();
    const request = {
      id,
      timezone: 1,
      via: { phone: null, fax: '1' },
      address: { address_line1: '123 Real St', city: '' },
    };
    expect(await call('contacts.update', request)).toMatchObject({ status: 202 });
    expect(await info({ id })).toEqual({
      ...before,
      id,
      timezone: 1,
      via: { email: 'ada@example.com', fax: '1' },
      address: { ...before.address, address_line1: '123 Real St', city: null },
    });
    await call('contacts.update', { id, family_name: 'Byron', gender: null });
    expect(await info({ id })).toMatchObject({ display_name: 'Ada Byron', given_name: 'Ada', gender: null });
    expect((await call('contacts.update', { id: unknownId, title: 'x' })).status).toBe(404);
  });

  it('one made per source and sender, found again in that sender’s next conversation', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const [first, second] = [
      await app.make.conversation({ source, channel, messages: [{ source_sender_id: 'one' }] }),
      await app.make.conversation({ source, channel, messages: [{ source_sender_id: 'one' }] }),
    ];
    const contact = await info({ conversation_id: first!.id });
    expect(await info({ conversation_id: second!.id })).toEqual(contact);
    expect(contact.conversations).toEqual({ [first!.id]: source.sourceId, [second!.id]: source.sourceId });
  });

  it('info by id or conversation; with neither 400, unknown 404', async () => {
    const { id, contact } = (await call('conversations.info', { conversation_id: (await app.make.conversation()).id }))
      .body;
    expect(await info({ id: contact.id })).toEqual(await info({ conversation_id: id }));
    expect((await call('contacts.info', {})).status).toBe(400);
    for (const request of [{ id: unknownId }, { conversation_id: unknownId }]) {
      expect((await call('contacts.info', request)).status).toBe(404);
    }
  });

  it('list: newest first, by pages, back again', async () => {
    const made: string[] = [];
    for (const display_name of ['One', 'Two', 'Three', 'Four', 'Five'])
      made.unshift((await create({ display_name })).id);
    const page = async (cursor?: string) => (await call('contacts.list', { page_size: 2, cursor })).body;
    const [first, second] = [await page(), await page((await page()).pagination_data.next_cursor)];
    const ids = [first, second].flatMap(({ data }) => data.map(({ id }: Json) => id));
    expect(ids).toEqual(made.slice(0, 4));
    expect(first.response_metadata).toMatchObject({ previous_cursor: '', total: first.pagination_data.total });
    expect((await page(second.pagination_data.previous_cursor)).data).toEqual(first.data);
    expect((await page(made[1]!)).data.map(({ id }: Json) => id)).toEqual(made.slice(1, 3));
    expect((await call('contacts.list', { cursor: 'nowhere' })).status).toBe(400);
  });

  it('import 201, all or none', async () => {
    const { id: conversation_id, source } = await app.make.conversation();
    const list = [{ display_name: 'Grace Hopper', conversations: { [conversation_id]: source.sourceId } }, ada];
    const { status, body } = await call('contacts.import', list, admin);
    expect([status, body.data.length]).toEqual([201, 2]);
    expect(body.data[0].conversations).toEqual({ [conversation_id]: source.sourceId });
    const conversation = await call('conversations.info', { conversation_id });
    expect(conversation.body.contact).toMatchObject({ id: body.data[0].id, first_name: 'Grace', last_name: 'Hopper' });
    const total = async () => (await call('contacts.list', {})).body.pagination_data.total;
    const before = await total();
    const unknown = { display_name: 'x', conversations: { [unknownId]: 'x' } };
    for (const bad of [{}, { timezone: 99 }, unknown]) {
      expect((await call('contacts.import', [ada, bad], admin)).status).toBe(400);
    }
    expect(await total()).toBe(before);
  });

  it('a conversation that is given to a contact takes along who writes in it', async () => {
    const conversation = await app.make.conversation({ messages: [{ source_sender_id: 'sender' }] });
    const { id } = await create({ display_name: 'Grace Hopper', conversations: { [conversation.id]: 'any' } });
    const message = app.make.webhookMessage({
      source_channel_id: conversation.channel.sourceChannelId,
      source_conversation_id: 'another',
      source_sender_id: 'sender',
    });
    await app.make.webhook(conversation.source, { messages: [message] });
    expect(Object.keys((await info({ id })).conversations)).toHaveLength(2);
  });

  it('delete 202; its conversations stay, and who writes in them becomes a new contact', async () => {
    const conversation = await app.make.conversation({ displayName: 'Ada Lovelace' });
    const { id } = await info({ conversation_id: conversation.id });
    expect((await call('contacts.delete', { id }, admin)).status).toBe(202);
    expect((await call('contacts.delete', { id }, admin)).status).toBe(404);
    const shown = await call('conversations.info', { conversation_id: conversation.id });
    expect(shown.body.contact.id).toBeNull();
    expect((await call('messages.list', { conversation_id: conversation.id })).body.data).toHaveLength(1);
    const message = app.make.webhookMessage({
      source_channel_id: conversation.channel.sourceChannelId,
      source_conversation_id: conversation.sourceConversationId,
      source_sender_id: 'sender-1',
    });
    await app.make.webhook(conversation.source, { messages: [message] });
    const again = await info({ conversation_id: conversation.id });
    expect(again.id).not.toBe(id);
  });
});

describe('Templates', () => {
  const request = { name: 'Welcome', source: 'facebook', content: { template: 'hello {{name}}' } };

  it('create 201, info, update 200, delete 204', async () => {
    const { status, body } = await call('templates.create', request, admin);
    expect([status, body]).toEqual([201, { id: expect.any(String), ...request }]);
    const { id } = body;
    expect(await call('templates.info', { id })).toMatchObject({ status: 200, body: { id, ...request } });
    const update = await call('templates.update', { id, content: 'a text' }, admin);
    expect(update).toMatchObject({ status: 200, body: { id, ...request, content: 'a text' } });
    expect((await call('templates.info', { id })).body.content).toBe('a text');
    expect(await call('templates.delete', { id }, admin)).toMatchObject({ status: 204, text: '' });
    for (const name of ['templates.info', 'templates.update', 'templates.delete']) {
      expect([name, await call(name, { id }, admin)]).toMatchObject([name, { status: 404 }]);
    }
  });

  it('list by source and by part of the name', async () => {
    const source = 'twilio.sms';
    for (const name of ['Good morning', 'Good 100% evening', 'good night']) {
      await call('templates.create', { ...request, source, name }, admin);
    }
    const names = async (name?: string) =>
      (await call('templates.list', { source, name })).body.data.map((one: Json) => one.name);
    expect((await names()).sort()).toEqual(['Good 100% evening', 'Good morning', 'good night']);
    expect((await names('Good')).sort()).toEqual(['Good 100% evening', 'Good morning']);
    expect(await names('0%')).toEqual(['Good 100% evening']);
    expect(await names('%')).toEqual(['Good 100% evening']);
    expect((await call('templates.list', {})).status).toBe(400);
  });
});

describe('Users', () => {
  it('users.list lists all', async () => {
    const { id } = (await app.rest('users.login', await app.make.user())).body;
    const { status, body } = await call('users.list', { page_size: 100 });
    expect(status).toBe(200);
    expect(body.data.map((one: Json) => one.id)).toEqual(expect.arrayContaining([id, agent.id, admin.id]));
    const seen = body.data.find((one: Json) => one.id === id);
    expect(seen).toEqual({
      id,
      name: 'Grace Hopper',
      avatar_url: null,
      first_seen_at: expect.stringMatching(/Z$/),
      last_seen_at: expect.stringMatching(/Z$/),
    });
    expect(body.data.find((one: Json) => one.id === agent.id).first_seen_at).toBeNull();
    const next = (await call('users.list', { page_size: 1 })).body.pagination_data.next_cursor;
    expect((await call('users.list', { page_size: 1, cursor: next })).body.data[0].id).toBe(body.data[1].id);
  });

  it('invite 201 and accept returns the invited e-mail’s account, once', async () => {
    const email = 'invited@example.com';
    const invited = await call('users.invite', { email }, admin);
    expect(invited).toMatchObject({ status: 201, body: { id: expect.any(String) } });
    const { id } = invited.body;
    const mail = await until(async () => app.mails.find(({ to }) => to === email));
    expect(mail.text).toContain(id);
    const person = { first_name: 'Ada', last_name: 'Lovelace', password: 'the_answer' };
    expect((await call('users.accept-invitation', { ...person, id, password: 'short' }, {})).status).toBe(400);
    const both = await Promise.all([1, 2].map(() => call('users.accept-invitation', { ...person, id }, {})));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
    const { body } = both.find(({ status }) => status === 200)!;
    expect(body).toEqual({
      id: expect.any(String),
      email,
      first_name: 'Ada',
      last_name: 'Lovelace',
      token: expect.any(String),
    });
    expect((await app.rest('users.login', { email, password: 'the_answer' })).body.id).toBe(body.id);
    expect((await call('users.invite', { email }, admin)).status).toBe(409);
  });

  it('a newer invitation voids the older; an unknown one is 400', async () => {
    const email = 'twice@example.com';
    const [older, newer] = [await call('users.invite', { email }, admin), await call('users.invite', { email }, admin)];
    const person = { first_name: 'Ada', last_name: 'Lovelace', password: 'the_answer' };
    for (const id of [older!.body.id, 'x', '']) {
      expect((await call('users.accept-invitation', { ...person, id }, {})).status).toBe(400);
    }
    expect((await call('users.accept-invitation', { ...person, id: newer!.body.id }, {})).status).toBe(200);
    expect((await call('users.invite', { email: 'no address' }, admin)).status).toBe(400);
  });

  it('invitations are closed with SIGNUP_MODE closed, and taken with invite', async () => {
    const { database } = app;
    const closed = await startApp({ database, settings: { signupMode: 'closed' } });
    const by = await closed.make.user({ role: 'ADMIN' });
    expect((await closed.rest('users.invite', { email: 'late@example.com' }, by)).status).toBe(403);
    const person = { id: 'x', first_name: 'Ada', last_name: 'Lovelace', password: 'the_answer' };
    expect((await closed.rest('users.accept-invitation', person)).status).toBe(403);
    const invite = await startApp({ database, settings: { signupMode: 'invite' } });
    const { body } = await invite.rest(
      'users.invite',
      { email: 'late@example.com' },
      await invite.make.user({ role: 'ADMIN' }),
    );
    expect((await invite.rest('users.accept-invitation', { ...person, id: body.id })).status).toBe(200);
  });

  it('an invitation stands though its mail cannot be sent; past 100 mails under way no more are taken', async () => {
    const sent: { resolve(): void; reject(error: Error): void }[] = [];
    const mailer = { send: () => new Promise<void>((resolve, reject) => void sent.push({ resolve, reject })) };
    const slow = await startApp({ mailer });
    const by = await slow.make.admin();
    const invite = (turn: number) => slow.rest('users.invite', { email: `person-${turn}@example.com` }, by);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, turn) => invite(turn)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    const { status, headers } = await invite(100);
    expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
    for (const { reject } of sent) reject(new Error('no mail today'));
    await until(async () => slow.logged.some((line) => line.includes('the mail of an invitation could not be sent')));
    expect((await invite(100)).status).toBe(201);
    for (const { resolve } of sent) resolve();
  });

  const setRole = 'mutation ($input: SetUserRoleInput!) { setUserRole(input: $input) { changed user { role } } }';
  const setActive =
    'mutation ($input: SetUserActiveInput!) { setUserActive(input: $input) { changed user { active } } }';

  it('a change of role ends the tokens and counts at the next sign-in', async () => {
    const user = await app.make.user();
    const input = { userId: user.id, role: 'ADMIN' };
    const done = { setUserRole: { changed: true, user: { role: 'ADMIN' } } };
    expect(await app.data(setRole, { input }, admin.token)).toEqual(done);
    expect((await call('conversations.list', {}, user)).status).toBe(403);
    const { token } = (await app.rest('users.login', user)).body;
    expect((await call('templates.create', { name: 'x', source: 'x', content: 'x' }, { token })).status).toBe(201);
    expect(await app.data(setRole, { input }, admin.token)).toMatchObject({ setUserRole: { changed: false } });
  });

  it('who is deactivated is shut out at once and cannot sign in, until let in again', async () => {
    const user = await app.make.user();
    const set = (active: boolean) => app.data(setActive, { input: { userId: user.id, active } }, admin.token);
    await set(false);
    expect((await call('conversations.list', {}, user)).status).toBe(403);
    expect((await app.rest('users.login', user)).status).toBe(401);
    const { data } = (await call('users.list', { page_size: 100 })).body;
    expect(data.map((one: Json) => one.id)).not.toContain(user.id);
    await set(true);
    expect((await app.rest('users.login', user)).status).toBe(200);
  });

  it('the last administrator stays one', async () => {
    const fresh = await startApp();
    const { id, token } = await fresh.make.admin();
    for (const [document, input] of [
      [setRole, { userId: id, role: 'AGENT' }],
      [setActive, { userId: id, active: false }],
    ] as const) {
      const { body } = await fresh.graphql(document, { input }, { token });
      expect(body.errors[0].extensions.code).toBe('CONFLICT');
    }
    expect((await fresh.rest('users.list', {}, { token })).status).toBe(200);
  });

  it('a conversation is given to a person, and taken away', async () => {
    const { id: conversationId } = await app.make.conversation();
    const assign = `mutation ($input: AssignConversationInput!) {
      assignConversation(input: $input) { changed conversation { assignee { legacyId } } } }`;
    const given = (userId: string | null) => app.data(assign, { input: { conversationId, userId } }, agent.token);
    const held = { changed: true, conversation: { assignee: { legacyId: agent.id } } };
    expect(await given(agent.id)).toEqual({ assignConversation: held });
    expect(await given(agent.id)).toEqual({ assignConversation: { ...held, changed: false } });
    expect(await given(null)).toEqual({ assignConversation: { changed: true, conversation: { assignee: null } } });
    const { body } = await app.graphql(assign, { input: { conversationId, userId: unknownId } }, agent);
    expect(body.errors[0].extensions.code).toBe('NOT_FOUND');
  });
});

describe('client.config', () => {
  it('five keys for each colour; user_profile null for who is not signed in', async () => {
    const { status, body } = await call('client.config', undefined, {});
    expect([status, body.user_profile]).toEqual([200, null]);
    const colors = Object.entries<Json>(body.tag_config.colors);
    expect(colors.map(([name]) => name).sort()).toEqual(['tag-blue', 'tag-green', 'tag-purple', 'tag-red']);
    for (const [, style] of colors) {
      expect(Object.keys(style).sort()).toEqual(['background', 'border', 'default', 'font', 'position']);
    }
    expect(body.cluster_version).toMatch(/^\d+\.\d+\.\d+/);
    expect((await call('client.config')).body.user_profile).toMatchObject({ id: agent.id, name: 'Grace Hopper' });
  });
});
