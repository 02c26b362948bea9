import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { unstalled } from '../input/watch.ts';
import { type App, type Json, startApp } from '../support/app.ts';

// What somebody with a token could do to the inbox by much, by many and by pretending.

let app: App;
let agent: { token: string };
let admin: { id: string; token: string };
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway' } });
  agent = await app.make.user();
  admin = await app.make.admin();
});

const call = (name: string, request: Json, caller: { token: string } = agent) => app.rest(name, request, caller);

async function inDatabase(text: string, values: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query(text, values);
  await client.end();
}

describe('what a source says of a message', () => {
  const noted = async (content: Json, metadata: Json) => {
    const conversation = await app.make.conversation({ messages: [{ source_message_id: 'm', content }] });
    await app.make.webhook(conversation.source, { metadata: [{ namespace: 'message', source_id: 'm', metadata }] });
    return unstalled(() => call('messages.list', { conversation_id: conversation.id }));
  };

  it('makes no giant of its content, and takes no time', async () => {
    for (const [content, metadata] of [
      [{ text: 'a'.repeat(60_000) }, { data_a: 'b'.repeat(60_000) }],
      [
        { l: Array(15_000).fill('z') },
        { data_q: Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`k${n}`, ''])) },
      ],
      [{ text: 'https://a.b '.repeat(5_000) }, { 'data_https://a.b': `https://c.d/${'e'.repeat(2_000)}` }],
      [
        { text: 'x' },
        { [`data_http://${'p'.repeat(20_000)}`]: Object.fromEntries(Array.from({ length: 4_000 }, (_, n) => [n, ''])) },
      ],
    ] as const) {
      const { status, text } = await noted(content, metadata);
      expect([status, text.length < 250_000]).toEqual([200, true]);
    }
  });
});

describe('what is noted of a conversation', () => {
  it('is shown flat within a bound', async () => {
    const { id: conversation_id } = await app.make.conversation();
    const value = { ['p'.repeat(25_000)]: Object.fromEntries(Array.from({ length: 3_500 }, (_, n) => [`k${n}`, 1])) };
    expect((await call('metadata.set', { conversation_id, key: 'k', value })).status).toBe(200);
    const { status, text } = await unstalled(() => call('conversations.info', { conversation_id }));
    expect([status, text.length < 400_000]).toEqual([200, true]);
  });

  it('stays within its size, a name of the contact too', async () => {
    const { id: conversation_id } = await app.make.conversation();
    const data = { f: 'x'.repeat(65_300) };
    expect((await call('metadata.upsert', { subject: 'conversation', id: conversation_id, data })).status).toBe(204);
    const named = await call('conversations.update-contact', { conversation_id, display_name: 'y'.repeat(500) });
    expect([named.status, named.body.errors[0].path]).toEqual([400, 'display_name']);
  });

  it('has at most 100 tags', async () => {
    const { id: conversation_id } = await app.make.conversation();
    const { id: tag_id } = (await call('tags.create', { name: 'one more', color: 'red' })).body;
    await inDatabase(
      `with made as (insert into tag (id, name, color)
         select gen_random_uuid(), 'tag ' || n, 'BLUE' from generate_series(1, 100) n returning id),
       counted as (insert into counter (name, slot, value) select 'conversations_tag:' || id, 0, 1 from made)
       insert into conversation_tag (conversation_id, tag_id) select $1, id from made`,
      [conversation_id],
    );
    expect((await call('conversations.tag', { conversation_id, tag_id })).status).toBe(400);
    const [known] = (await call('conversations.info', { conversation_id })).body.tags;
    expect((await call('conversations.tag', { conversation_id, tag_id: known })).status).toBe(200);
  });
});

describe('contacts', () => {
  it('keep at most 50 ids elsewhere, however they are told', async () => {
    const via = (from: number) => Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`kind ${from + n}`, 'x']));
    const { id } = (await call('contacts.create', { via: via(0) })).body;
    expect((await call('contacts.update', { id, via: via(0) })).status).toBe(202);
    const more = await call('contacts.update', { id, via: via(30) });
    expect([more.status, more.body.errors[0].path]).toEqual([400, 'via']);
    for (const empty of [{ via: {} }, { address: {} }, { conversations: {} }, { avatar_url: '' }]) {
      expect((await call('contacts.create', empty)).status).toBe(400);
    }
  });

  it('are counted before an import looks at them', async () => {
    for (const body of [`[${'{},'.repeat(300_000)}{}]`, `[${'1,'.repeat(450_000)}1]`]) {
      const answer = await app.post('/contacts.import', body, admin);
      expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining('must be at most 1000')]);
    }
  });

  it('that change are told of in all their conversations', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const one = { source, channel, messages: [{ source_sender_id: 'one' }] };
    const made = [await app.make.conversation(one), await app.make.conversation(one)];
    const ids = made.map(({ id }) => id).sort();
    const { id } = (await call('contacts.info', { conversation_id: ids[0] })).body;
    const told = async (change: () => Promise<Json>) => {
      const { eventCursor: after } = await app.data('{ eventCursor }', {}, agent.token);
      expect((await change()).status).toBeLessThan(300);
      const events = app.subscribe(
        `subscription ($after: Cursor) { inbox(after: $after) {
          ... on ConversationEvent { created conversation { legacyId contact { displayName } } } } }`,
        { token: agent.token, variables: { after } },
      );
      const names = new Map<string, string>();
      while (names.size < ids.length) {
        const { created, conversation } = await events.next();
        if (created === false) names.set(conversation.legacyId, conversation.contact.displayName);
      }
      events.close();
      expect([...names.keys()].sort()).toEqual(ids);
      return [...names.values()];
    };
    expect(await told(() => call('contacts.update', { id, display_name: 'Ada' }))).toEqual(['Ada', 'Ada']);
    const request = { conversation_id: ids[1], display_name: 'Grace' };
    expect(await told(() => call('conversations.update-contact', request))).toEqual(['Grace', 'Grace']);
  });
});

describe('templates', () => {
  it('are at most 1,000 of a source, those that move to it too', async () => {
    const make = (source: string) => call('templates.create', { name: 'x', source, content: 'x' }, admin);
    const { id } = (await make('other')).body;
    await inDatabase(
      `insert into message_template (id, source_id, name, content)
         select gen_random_uuid(), 'full', 't' || n, '"x"' from generate_series(1, 1000) n`,
    );
    expect((await make('full')).status).toBe(400);
    expect((await call('templates.update', { id, source: 'full' }, admin)).status).toBe(400);
    expect((await call('templates.create', { name: 'x', source: 'x', content: 'x'.repeat(9_000) }, admin)).status).toBe(
      400,
    );
  });
});

it('a source does not speak for people in the metadata of its channel', async () => {
  const source = await app.make.source();
  for (const key of ['user_data', 'public', 'state', 'tags.x']) {
    const request = { source_channel_id: 'c', name: 'C', metadata: { [key]: { vip: true } } };
    const { status, body } = await call('sources.channels.create', request, source);
    expect([key, status, body.errors[0].path]).toEqual([key, 400, 'metadata']);
  }
});

it('an invitation ends with the rights of whoever gave it', async () => {
  const inviter = await app.make.user({ role: 'ADMIN' });
  const invite = 'mutation ($input: InviteUserInput!) { inviteUser(input: $input) { invitationId } }';
  const { inviteUser } = await app.data(invite, { input: { email: 'back@example.com', role: 'ADMIN' } }, inviter.token);
  const role = 'mutation ($input: SetUserRoleInput!) { setUserRole(input: $input) { changed } }';
  await app.data(role, { input: { userId: inviter.id, role: 'AGENT' } }, admin.token);
  const person = { id: inviteUser.invitationId, first_name: 'A', last_name: 'B', password: 'the_answer' };
  expect((await app.rest('users.accept-invitation', person)).status).toBe(400);
});

it('an invited person is an agent unless a role is given', async () => {
  const { body } = await call('users.invite', { email: 'new@example.com' }, admin);
  const person = { id: body.id, first_name: 'A', last_name: 'B', password: 'the_answer' };
  const { token } = (await app.rest('users.accept-invitation', person)).body;
  expect(await app.data('{ viewer { role } }', {}, token)).toEqual({ viewer: { role: 'AGENT' } });
});
