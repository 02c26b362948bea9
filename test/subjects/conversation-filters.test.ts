import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, type Json, startApp } from '../support/app.ts';

let app: App;
let token: string;
let agent: { id: string; token: string };
const made: Awaited<ReturnType<App['make']['conversation']>>[] = [];
const tagIds: string[] = [];

beforeAll(async () => {
  app = await startApp();
  agent = await app.make.user();
  token = agent.token;
  const names = ['Ada Lovelace', 'Grace Hopper', undefined];
  const texts = ['Where is my order 4711?', 'Thank you, Ada', 'Écris-moi: ada@example.com'];
  for (let index = 0; index < 3; index += 1) {
    const messages = [{ sent_at: 1_600_000_000_000 + index * 1_000, content: { text: texts[index] } }];
    made.push(await app.make.conversation({ displayName: names[index], messages }));
  }
  await send(made[1]!, { content: { blocks: [{ caption: 'an invoice from the attic' }] } });
  for (const name of ['one', 'two']) {
    tagIds.push((await app.rest('tags.create', { name, color: 'red' }, { token })).body.id);
  }
  for (const tag_id of tagIds) await app.rest('conversations.tag', { conversation_id: made[0]!.id, tag_id }, { token });
  await app.rest('conversations.tag', { conversation_id: made[1]!.id, tag_id: tagIds[0] }, { token });
  await app.rest('conversations.set-state', { conversation_id: made[2]!.id, state: 'SNOOZED' }, { token });
  await app.rest('conversations.read', { conversation_id: made[2]!.id }, { token });
  const input = { conversationId: made[1]!.id, userId: agent.id };
  await app.data(
    'mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { changed } }',
    { input },
    token,
  );
  const facts = { subject: 'conversation', id: made[0]!.id, data: { erp: { id: 'abc 7' }, list: ['one', 'two'] } };
  await app.rest('metadata.upsert', facts, { token });
});

async function send(conversation: (typeof made)[number], message: Json): Promise<void> {
  const one = { ...conversation.place, sent_at: 1_600_000_001_500, from_contact: false, ...message };
  await app.make.webhook(conversation.source, { messages: [app.make.webhookMessage(one)] });
}

const query = `query ($filter: ConversationFilterInput, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  conversations(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    total filteredTotal pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { legacyId } } }`;

/** Places in `made` of what a filter lists. */
async function listed(filter: Json): Promise<number[]> {
  const { conversations } = await app.data(query, { filter }, token);
  expect(conversations.filteredTotal).toBe(conversations.nodes.length);
  return conversations.nodes.map((node: Json) => made.findIndex(({ id }) => id === node.legacyId));
}

describe('a filter as an input', () => {
  it.each<[string, () => Json, number[]]>([
    ['none', () => null, [2, 1, 0]],
    ['nothing in it', () => ({}), [2, 1, 0]],
    ['states', () => ({ states: ['SNOOZED', 'CLOSED'] }), [2]],
    ['no state', () => ({ states: [] }), []],
    ['channels', () => ({ channelIds: [made[0]!.channel.id, made[2]!.channel.id] }), [2, 0]],
    ['sources', () => ({ sourceIds: [made[1]!.source.sourceId, 'nobody'] }), [1]],
    ['one tag', () => ({ tagIds: [tagIds[0]] }), [1, 0]],
    ['all of several tags', () => ({ tagIds }), [0]],
    ['who holds it', () => ({ assigneeId: agent.id }), [1]],
    ['held by nobody', () => ({ unassigned: true }), [2, 0]],
    ['held by somebody', () => ({ unassigned: false }), [1]],
    ['unread', () => ({ unread: true }), [1, 0]],
    ['all read', () => ({ unread: false }), [2]],
    ['begun from then on', () => ({ createdFrom: '2020-09-13T12:26:41.000Z' }), [2, 1]],
    ['begun before', () => ({ createdBefore: '2020-09-13T12:26:41.000Z' }), [0]],
    ['latest message from then on', () => ({ lastMessageFrom: '2020-09-13T12:26:41.500Z' }), [2, 1]],
    ['latest message before', () => ({ lastMessageBefore: '2020-09-13T12:26:41.500Z' }), [0]],
    ['metadata', () => ({ metadata: [{ key: 'user_data.erp.id', value: 'ABC 7' }] }), [0]],
    ['metadata without any word', () => ({ metadata: [{ key: 'user_data.erp.id', value: '-' }] }), []],
    ['Lucene', () => ({ query: 'display_name:hopper' }), [1]],
    ['all of it', () => ({ query: 'display_name:*a*', tagIds: [tagIds[0]], unread: true, states: ['OPEN'] }), [1, 0]],
    ['one of several', () => ({ anyOf: [{ states: ['SNOOZED'] }, { tagIds }] }), [2, 0]],
    ['one of none', () => ({ anyOf: [] }), []],
    ['a pattern without a word', () => ({ query: 'display_name:\u{1F600}*' }), []],
    ['a key that is no place in a list', () => ({ metadata: [{ key: 'user_data.list.+1', value: 'two' }] }), []],
    ['what stands in a list', () => ({ metadata: [{ key: 'user_data.list', value: 'two' }] }), [0]],
    ['none of several', () => ({ noneOf: [{ states: ['SNOOZED'] }, { tagIds }] }), [1]],
  ])('%s', async (_, filter, expected) => {
    expect(await listed(filter())).toEqual(expected);
  });

  it('takes opaque ids', async () => {
    const { channels } = await app.data('{ channels { nodes { id legacyId } } }', {}, token);
    const { id } = channels.nodes.find((node: Json) => node.legacyId === made[0]!.channel.id);
    expect(await listed({ channelIds: [id] })).toEqual([0]);
  });

  it.each<[Json, string]>([
    [{ query: 'unread_count:x' }, 'filter.query: column 14: '],
    [{ anyOf: [{ query: '(' }] }, 'filter.anyOf[0].query: column '],
    [{ channelIds: ['what'] }, 'filter.channelIds[0]: must be the id of a Channel'],
    [{ metadata: [{ key: 'a..b', value: 'x' }] }, 'filter.metadata[0].key: '],
    [{ metadata: [{ key: 'unread_count', value: 'many' }] }, 'filter.metadata[0].value: '],
    [{ text: 'x'.repeat(201) }, 'filter.text: must be at most 200 characters'],
    [{ text: 'a '.repeat(33) }, 'filter.text: must be at most 32 words'],
    // One character that stands for eighteen.
    [{ query: `display_name:*${'\uFDFA'.repeat(300)}` }, 'filter: has 5400 characters to compare, at most 4000'],
    [{ query: 'display_name:(a~ b~ c~ d~ e~)' }, 'filter: has 5 near misses, at most 4'],
    [{ sourceIds: Array(65).fill('a') }, 'filter: has 65 clauses, at most 64'],
    [{ anyOf: Array(64).fill({}) }, 'filter: has 65 clauses, at most 64'],
    [{ anyOf: Array(5).fill({ query: 'display_name:a*b*' }) }, 'filter: has 10 wildcards, at most 8'],
    [{ anyOf: Array(2).fill({ query: `id:${'a'.repeat(2_100)}` }) }, 'filter: has 4206 characters, at most 4000'],
  ])('%j is refused', async (filter, message) => {
    const { body } = await app.graphql(query, { filter }, { token });
    expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT');
    expect(body.errors[0].message).toContain(message);
  });
});

describe('what was said, and names', () => {
  it.each<[string, string, number[]]>([
    ['a word of a message', 'order', [0]],
    ['words in any order and case', 'ORDER where', [0]],
    ['the beginning of the last one', 'where ord', [0]],
    ['not the beginning of another one', 'ord where', []],
    ['no beginning of fewer than three letters', 'where or', []],
    ['a number', '4711', [0]],
    ['a name or a message', 'ada', [2, 1, 0]],
    ['a name as it is begun', 'grace hop', [1]],
    ['an address in one piece', 'ada@example.com', [2]],
    ['a word with an accent', 'écris', [2]],
    ['texts of any content', 'invoice attic', [1]],
    ['words of two messages are not one', 'thank invoice', []],
    ['nothing yet', ' ', [2, 1, 0]],
    ['only signs', '?!', []],
    ['signs of the search language', "ada:* & ! | ('", [2, 1, 0]],
  ])('%s', async (_, text, expected) => {
    expect(await listed({ text })).toEqual(expected);
  });

  it('finds a message as soon as it is answered', async () => {
    await send(made[0]!, { content: 'a hippopotamus', sent_at: 1_600_000_000_001 });
    expect(await listed({ text: 'hippopotamus' })).toEqual([0]);
  });
});

describe('pages and totals', () => {
  it('go both ways', async () => {
    const page = async (variables: Json) =>
      (await app.data(query, { filter: { query: 'id:* OR source:x' }, ...variables }, token)).conversations;
    const first = await page({ first: 2 });
    const last = await page({ last: 2 });
    const second = await page({ first: 2, after: first.pageInfo.endCursor });
    const before = await page({ last: 2, before: second.pageInfo.startCursor });
    const ids = (one: Json) => one.nodes.map((node: Json) => node.legacyId);
    expect([...ids(first), ...ids(second)]).toEqual([made[2]!.id, made[1]!.id, made[0]!.id]);
    expect(ids(last)).toEqual([made[1]!.id, made[0]!.id]);
    expect(ids(before)).toEqual(ids(first));
    expect(second.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    expect([first.filteredTotal, second.filteredTotal, before.filteredTotal]).toEqual([3, 3, 3]);
  });

  it('follow each change of what they count', async () => {
    const other = await startApp();
    const { token: its } = await other.make.user();
    const call = (name: string, body: Json) => other.rest(name, body, { token: its });
    const total = async (filters: string) =>
      (await call('conversations.list', { filters })).body.response_metadata.filtered_total;
    const one = await other.make.conversation({ messages: [{}, {}] });
    const tag = (await call('tags.create', { name: 'x', color: 'red' })).body.id;
    const counted = async () => ({
      tagged: await total(`tag_ids:${tag}`),
      unread: await total('unread_count:[1 TO *]'),
      read: await total('unread_count:0'),
      open: await total('metadata.state:OPEN'),
      closed: await total('metadata.state:CLOSED'),
      source: await total(`source:${one.source.sourceId}`),
      channel: await total(`channel_id:${one.channel.id}`),
    });
    const before = { tagged: 0, unread: 1, read: 0, open: 1, closed: 0, source: 1, channel: 1 };
    expect(await counted()).toEqual(before);
    await call('conversations.tag', { conversation_id: one.id, tag_id: tag });
    await call('conversations.tag', { conversation_id: one.id, tag_id: tag });
    await call('conversations.set-state', { conversation_id: one.id, state: 'closed' });
    await call('conversations.read', { conversation_id: one.id });
    const changed = { ...before, tagged: 1, unread: 0, read: 1, open: 0, closed: 1 };
    expect(await counted()).toEqual(changed);
    await call('conversations.untag', { conversation_id: one.id, tag_id: tag });
    await call('conversations.remove-state', { conversation_id: one.id });
    await other.make.webhook(one.source, { messages: [other.make.webhookMessage(one.place)] });
    expect(await counted()).toEqual(before);
    await call('conversations.tag', { conversation_id: one.id, tag_id: tag });
    await call('tags.delete', { id: tag });
    expect(await total(`tag_ids:${tag}`)).toBe(0);
    await other.stop();
  });

  it('are null, and 503 in REST, where counting takes longer than two seconds; others go on meanwhile', async () => {
    const other = await startApp();
    const { token: its } = await other.make.user();
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) {
      const { id } = await other.make.conversation({ messages: [{ sent_at: 1_600_000_000_000 + n }] });
      const data = { note: n < 5 ? 'other' : 'slow' };
      await other.rest('metadata.upsert', { subject: 'conversation', id, data }, { token: its });
      ids.unshift(id);
    }
    // As with millions of conversations: to look at the words of those that do not match takes its time.
    const client = new pg.Client({ connectionString: other.database.url });
    await client.connect();
    await client.query(
      `create or replace function parley_words(subject text) returns text language plpgsql immutable strict as $$
        begin
          if subject = 'other' then perform pg_sleep(0.5); end if;
          return ' ' || subject || ' ';
        end $$`,
    );
    await client.end();
    const filter = { query: 'metadata.user_data.note:sl*w' };
    const { conversations } = await other.data(query, { filter, first: 1 }, its);
    expect(conversations).toMatchObject({ filteredTotal: null, nodes: [{ legacyId: ids[0] }] });
    const { status, headers, body } = await other.rest(
      'conversations.list',
      { filters: filter.query, page_size: 1 },
      { token: its },
    );
    expect({ status, retry: headers.get('retry-after'), message: body.message }).toEqual({
      status: 503,
      retry: expect.stringMatching(/^\d+$/),
      message: expect.stringContaining('counting'),
    });

    // More of them than there are connections: they take turns, and nobody else waits for them.
    const slow = { filters: 'metadata.user_data.note:zzz*' };
    const asked = Array.from({ length: 12 }, () => other.rest('conversations.list', slow, { token: its }));
    const beside = await Promise.race([
      Promise.all(asked).then(() => 'the slow ones first'),
      other.rest('tags.list', {}, { token: its }).then((answer) => answer.status),
    ]);
    expect(beside).toBe(200);
    expect(new Set((await Promise.all(asked)).map((answer) => answer.status))).toEqual(new Set([503]));
    await other.stop();
  });
});
