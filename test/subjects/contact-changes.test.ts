import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, type Json, startApp } from '../support/app.ts';

// Contacts beside what their sources say of them at the same time.

let app: App;
let agent: { token: string };
let admin: { token: string };
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway' } });
  agent = await app.make.user();
  admin = await app.make.admin();
});

const unknownId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const call = async (name: string, request: Json, caller = agent): Promise<Json> => {
  const { status, body } = await app.rest(name, request, caller);
  expect([name, request, status < 300 ? 'good' : status]).toEqual([name, request, 'good']);
  return body;
};
const contactOf = (conversation_id: string) => call('contacts.info', { conversation_id });

type Made = Awaited<ReturnType<App['make']['conversation']>>;

const noteOf = ({ source, sourceConversationId }: Made, metadata: Json) =>
  app.make.webhook(source, { metadata: [{ namespace: 'conversation', source_id: sourceConversationId, metadata }] });
const writeAs = ({ source, channel }: Made, sender: string, conversation: string) =>
  app.make.webhook(source, {
    messages: [
      app.make.webhookMessage({
        source_channel_id: channel.sourceChannelId,
        source_conversation_id: conversation,
        source_sender_id: sender,
      }),
    ],
  });

describe('names', () => {
  it('that people gave are not undone by other facts of a source, but by a new name from it', async () => {
    const conversation = await app.make.conversation({ displayName: 'Bob Source' });
    const { id } = await contactOf(conversation.id);
    await call('contacts.update', { id, display_name: 'Robert Person' });
    await noteOf(conversation, { order: 5 });
    expect(await contactOf(conversation.id)).toMatchObject({ display_name: 'Robert Person' });
    await noteOf(conversation, { contact: { display_name: 'Bobby Source' } });
    expect(await contactOf(conversation.id)).toMatchObject({ display_name: 'Bobby Source' });
  });

  it('do not outlive the contact', async () => {
    const conversation = await app.make.conversation({ displayName: 'Ada Lovelace' });
    const { id } = await contactOf(conversation.id);
    await call('contacts.delete', { id }, admin);
    const shown = await call('conversations.info', { conversation_id: conversation.id });
    expect(JSON.stringify(shown)).not.toContain('Ada');
    await writeAs(conversation, 'sender-1', conversation.sourceConversationId);
    expect(await contactOf(conversation.id)).toMatchObject({ display_name: null });
  });
});

describe('a conversation that is given to a contact', () => {
  it('takes along its sender only where it is known who that is', async () => {
    const first = await app.make.conversation({ messages: [{ source_sender_id: 'a' }] });
    const second = await app.make.conversation({ ...first, messages: [{ source_sender_id: 'b' }] });
    const [{ id: x }, { id: b }] = [await contactOf(first.id), await contactOf(second.id)];
    await call('contacts.update', { id: x, conversations: { [second.id]: 'x' } });
    expect((await contactOf(second.id)).id).toBe(x);
    expect(b).not.toBe(x);
    // Now a and b write as one contact: giving the one conversation away does not say which of them it was.
    const { id: y } = await call('contacts.create', { display_name: 'Y', conversations: { [first.id]: 'x' } });
    await writeAs(first, 'b', 'third');
    const { conversations } = await call('contacts.info', { id: y });
    expect(Object.keys(conversations)).toEqual([first.id]);
  });

  it('and all else that happens to it at the same time, comes to an end without a fault', async () => {
    const conversation = await app.make.conversation({ displayName: 'Ada' });
    const { id } = await contactOf(conversation.id);
    const conversation_id = conversation.id;
    const turns = Array.from({ length: 12 }, (_, turn) => turn);
    await Promise.all(
      turns.flatMap((turn) => [
        call('contacts.update', { id, title: `t${turn}`, conversations: { [conversation_id]: 'x' } }),
        call('conversations.update-contact', { conversation_id, display_name: `Ada ${turn}` }),
        noteOf(conversation, { contact: { display_name: `Source ${turn}` } }),
        writeAs(conversation, 'sender-1', conversation.sourceConversationId),
        writeAs(conversation, 'sender-1', `other-${turn}`),
        call('contacts.create', { display_name: `New ${turn}`, conversations: { [conversation_id]: 'x' } }).then(
          (made) => call('contacts.delete', { id: made.id }, admin),
        ),
      ]),
    );
    const { data } = await call('messages.list', { conversation_id, page_size: 100 });
    expect(data).toHaveLength(13);
    const counted = (await call('contacts.list', { page_size: 1 })).pagination_data.total;
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    const { rows } = await client.query<{ count: number }>('select count(*)::int count from contact');
    await client.end();
    expect(counted).toBe(rows[0]!.count);
  });
});

describe('a list', () => {
  it.each(['contacts.list', 'users.list'])('%s: a bare id means its place; an unknown one is refused', async (name) => {
    await app.make.conversation();
    const { data } = await call(name, { page_size: 2 });
    const from = async (cursor: string) => (await call(name, { cursor, page_size: 1 })) as Json;
    expect((await from(data[0].id)).pagination_data.previous_cursor).toBeNull();
    const second = await from(data[1].id);
    expect([second.data[0].id, second.pagination_data.previous_cursor]).toEqual([data[1].id, expect.any(String)]);
    expect((await app.rest(name, { cursor: unknownId }, agent)).status).toBe(400);
  });
});

it('a conversation that is begun by us gets what waited for it', async () => {
  const source = await app.make.source();
  const channel = await app.make.channel(source);
  const metadata = { contact: { display_name: 'Ada Lovelace' }, order: 7 };
  await app.make.webhook(source, { metadata: [{ namespace: 'conversation', source_id: 'early', metadata }] });
  await call('messages.send', { channel_id: channel.id, source_recipient_id: 'early', message: { text: 'Hello' } });
  const { data } = await call('conversations.list', { page_size: 1 });
  expect(data[0].metadata).toMatchObject({ order: 7 });
  await writeAs({ source, channel } as Made, 'ada', 'early');
  expect(await contactOf(data[0].id)).toMatchObject({ display_name: 'Ada Lovelace' });
});

describe('channels', () => {
  it('keep their credentials when they are connected again without any', async () => {
    const { sourceId: source } = await app.make.source();
    const request = { source, source_channel_id: 'c', token: 'a secret' };
    const { id } = await call('channels.connect', request, admin);
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    const stored = async () =>
      (await client.query('select credentials_encrypted from channel_credentials where channel_id = $1', [id])).rows;
    const [before] = await stored();
    await call('channels.connect', { source, source_channel_id: 'c', name: 'Renamed' }, admin);
    expect(await stored()).toEqual([before]);
    const connect = 'mutation ($input: ConnectChannelInput!) { connectChannel(input: $input) { changed } }';
    await app.data(connect, { input: { sourceId: source, sourceChannelId: 'c', settings: null } }, admin.token);
    expect(await stored()).toEqual([]);
    await client.end();
  });

  it('name the fields of their own form in faults', async () => {
    await app.make.source({ sourceId: 'facebook' });
    const request = { page_id: '', page_token: 'x'.repeat(9_000), name: '' };
    const { status, body } = await app.rest('channels.facebook.connect', request, admin);
    const paths = body.errors.map(({ path }: Json) => path).sort();
    expect([status, paths]).toEqual([400, ['name', 'page_id', 'page_token']]);
  });
});

it('two invitations of one address at once: the later one counts', async () => {
  const invite = () => call('users.invite', { email: 'twins@example.com' }, admin);
  const ids = (await Promise.all([invite(), invite(), invite()])).map(({ id }) => id);
  const person = { first_name: 'Ada', last_name: 'Lovelace', password: 'the_answer' };
  const statuses = [];
  for (const id of ids) statuses.push((await app.rest('users.accept-invitation', { ...person, id })).status);
  expect(statuses.sort()).toEqual([200, 400, 400]);
});
