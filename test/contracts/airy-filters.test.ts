import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

// "Filters (Lucene)" of the legacy contract: what its own clients ask for.

let app: App;
let token: string;
const named: Record<string, string> = {};
const tags: Record<string, string> = {};
const channels: Record<string, string> = {};

beforeAll(async () => {
  app = await startApp();
  ({ token } = await app.make.user());
  const facebook = await app.make.source({ sourceId: 'facebook' });
  const google = await app.make.source({ sourceId: 'google.chat' });
  for (const [name, color] of [
    ['A', 'red'],
    ['B', 'blue'],
  ] as const) {
    tags[name] = (await app.rest('tags.create', { name, color }, { token })).body.id;
  }
  const people = ['Ada Lovelace', 'Grace Hopper', 'gRaCe', 'Ada Byron', 'Dr Gracely', undefined];
  for (const [index, displayName] of people.entries()) {
    const source = index % 2 === 0 ? facebook : google;
    const channel = await app.make.channel(source);
    const { id } = await app.make.conversation({
      source,
      channel,
      displayName,
      messages: Array.from({ length: index }, (_, n) => ({
        sent_at: 1_577_836_800_000 + index * 86_400_000 + n,
      })).concat(index === 0 ? [{ sent_at: 1_577_836_800_000 }] : []),
    });
    const name = displayName ?? 'nobody';
    named[name] = id;
    channels[name] = channel.id;
    if (index < 3) await call('conversations.tag', { conversation_id: id, tag_id: tags.A });
    if (index === 0) await call('conversations.tag', { conversation_id: id, tag_id: tags.B });
    if (index < 2) await call('conversations.set-state', { conversation_id: id, state: 'CLOSED' });
    if (index === 0) await call('conversations.read', { conversation_id: id });
  }
  const erp = { subject: 'conversation', id: named['Ada Lovelace'], data: { erp: { id: 'abc' }, level: 3 } };
  await call('metadata.upsert', erp);
  await call('metadata.set', { conversation_id: named['Grace Hopper'], key: 'ad.id', value: 'Spring-Sale 7' });
});

async function call(name: string, body: Json): Promise<void> {
  const { status, text } = await app.rest(name, body, { token });
  if (status >= 300) throw new Error(`${name}: ${status} ${text}`);
}

/** Whose conversations a filter lists, newest activity first; the totals must say as many. */
async function listed(filters: string): Promise<string[]> {
  const { status, text, body } = await app.rest('conversations.list', { filters }, { token });
  if (status !== 200) throw new Error(`${status}: ${text}`);
  const found: string[] = body.data.map(({ id }: Json) => Object.keys(named).find((name) => named[name] === id));
  expect([body.response_metadata.filtered_total, body.pagination_data.total]).toEqual([found.length, found.length]);
  expect(body.response_metadata.total).toBe(6);
  return found;
}

describe('the ten queries', () => {
  it.each<[string, () => string, string[]]>([
    ['1 a leading wildcard', () => 'display_name:*Lovelace', ['Ada Lovelace']],
    ['2 a name and a source', () => 'display_name:grace AND source:facebook', ['gRaCe']],
    ['3 an id with escaped dashes', () => `id:"${named['Ada Byron']!.replaceAll('-', '\\-')}"`, ['Ada Byron']],
    ['4 both tags', () => `tag_ids:(${tags.A} AND ${tags.B})`, ['Ada Lovelace']],
    ['5 unread, at least two', () => 'unread_count:[2 TO *]', ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe']],
    ['6 nothing unread', () => 'unread_count:0', ['Ada Lovelace']],
    ['7 begun within a span', () => 'created_at:[1577836800000 TO 1577923200000]', ['Grace Hopper', 'Ada Lovelace']],
    ['8 metadata', () => 'metadata.user_data.erp.id:abc', ['Ada Lovelace']],
    [
      '9 not closed, of one of two sources',
      () => 'NOT metadata.state:CLOSED AND source:(facebook google.chat)',
      ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe'],
    ],
    [
      '10 phrase, near miss and wildcards',
      () => 'display_name:"Ada Lovelace" OR display_name:Grace~1 OR display_name:Gr?ce*',
      ['Dr Gracely', 'gRaCe', 'Grace Hopper', 'Ada Lovelace'],
    ],
  ])('%s', async (_, filters, expected) => {
    expect(await listed(filters())).toEqual(expected);
  });
});

describe('what the known inbox joins by AND', () => {
  it.each<[string, () => string, string[]]>([
    ['unread ones', () => 'unread_count:[1 TO *]', ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe', 'Grace Hopper']],
    ['a part of a name', () => 'display_name:*RAC*', ['Dr Gracely', 'gRaCe', 'Grace Hopper']],
    ['one of two channels', () => `channel_id:(${channels['Ada Byron']} OR ${channels.gRaCe})`, ['Ada Byron', 'gRaCe']],
    ['open ones', () => 'id:* AND NOT metadata.state:CLOSED', ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe']],
    ['closed ones', () => 'metadata.state:CLOSED', ['Grace Hopper', 'Ada Lovelace']],
    ['one tag', () => `tag_ids:${tags.A}`, ['gRaCe', 'Grace Hopper', 'Ada Lovelace']],
    [
      'all at once',
      () => `unread_count:[1 TO *] AND display_name:*a* AND tag_ids:(${tags.A}) AND id:*`,
      ['gRaCe', 'Grace Hopper'],
    ],
  ])('%s', async (_, filters, expected) => {
    expect(await listed(filters())).toEqual(expected);
  });
});

describe('fields and their other names', () => {
  it.each<[string, string[]]>([
    ['metadata.public.ad.id:"spring sale"', ['Grace Hopper']],
    ['metadata.ad.id:spring\\-sale', ['Grace Hopper']],
    ['metadata.user_data.level:3', ['Ada Lovelace']],
    ['unread_message_count:[* TO 1]', ['Grace Hopper', 'Ada Lovelace']],
    ['createdAt:2020-01-02', ['Grace Hopper']],
    ['last_message_at:{2020-01-04T00:00:00.003Z TO *}', ['nobody', 'Dr Gracely']],
    ['source:FACEBOOK', []],
    ['source:face*', ['Dr Gracely', 'gRaCe', 'Ada Lovelace']],
    ['display_name:nothing', []],
    ['*:*', ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe', 'Grace Hopper', 'Ada Lovelace']],
    ['', ['nobody', 'Dr Gracely', 'Ada Byron', 'gRaCe', 'Grace Hopper', 'Ada Lovelace']],
  ])('%s', async (filters, expected) => {
    expect(await listed(filters)).toEqual(expected);
  });

  it('metadata.tags.<id> is a tag', async () => {
    expect(await listed(`metadata.tags.${tags.B}:""`)).toEqual(['Ada Lovelace']);
  });

  it('finds a conversation whose contact has no name by the name that it is shown under', async () => {
    const { body } = await app.rest('conversations.info', { conversation_id: named.nobody }, { token });
    const { display_name: shown } = body.metadata.contact;
    expect(shown).toMatch(/^Chat [0-9a-f]{5}$/);
    for (const filters of [`display_name:"${shown}"`, `display_name:${shown.slice(-5)}`, 'display_name:Cha*']) {
      expect(await listed(filters)).toEqual(['nobody']);
    }
  });

  it('follows a contact that gets another name', async () => {
    await call('conversations.update-contact', { conversation_id: named['Ada Byron'], display_name: 'Augusta King' });
    expect(await listed('display_name:byron')).toEqual([]);
    expect(await listed('display_name:augusta')).toEqual(['Ada Byron']);
    await call('conversations.update-contact', { conversation_id: named['Ada Byron'], display_name: 'Ada Byron' });
  });
});

describe('what does not parse', () => {
  it.each<[string, RegExp]>([
    ['display_name:"Ada', /^filters: column 14: /],
    ['(display_name:Ada', /^filters: column 1: /],
    ['display_name:Ada)', /^filters: column 17: /],
    ['source:facebook AND AND', /^filters: column 21: /],
    ['/ada.*/', /^filters: column 1: /],
    ['display_name:Ada~3', /^filters: column 18: /],
    [`display_name:${'ab'.repeat(20)}~2`, /^filters: column 54: .*32 letters/],
    ['display_name:[a TO b]', /^filters: column 14: .*ranges/],
    ['_exists_:id', /^filters: column 1: /],
    ['unread_count:many', /^filters: column 14: .*whole number/],
    ['created_at:yesterday', /^filters: column 12: .*ISO 8601/],
    ['password_hash:*', /^filters: column 1: .*display_name.*unread_count.*metadata/],
    ['__proto__:x', /^filters: column 1: .*display_name/],
    ["' OR 1=1 --", /^filters: column /],
    [Array(65).fill('id:a').join(' '), /^filters: column \d+: .*64/],
    [`${'('.repeat(11)}id:a${')'.repeat(11)}`, /^filters: column 11: .*10/],
    [`display_name:${'*a'.repeat(9)}`, /^filters: column \d+: .*8/],
    ['a'.repeat(4_001), /^filters: column 4001: .*4,?000/],
  ])('%s is 400 and says where', async (filters, message) => {
    const { status, body } = await app.rest('conversations.list', { filters }, { token });
    expect({ status, message: body.message }).toEqual({ status: 400, message: expect.stringMatching(message) });
    expect(body.errors).toEqual([{ path: 'filters', message: body.message.slice('filters: '.length) }]);
  });

  it('percent and underscore are plain characters', async () => {
    for (const filters of ['display_name:%', 'display_name:_', 'source:%', 'id:%', 'metadata.user_data.erp.id:a_c']) {
      expect(await listed(filters)).toEqual([]);
    }
  });
});

describe('pages of a filter', () => {
  it('walk forward and back, with the same totals on each', async () => {
    const filters = 'display_name:(ada grace*) OR display_name:*racely';
    const first = (await app.rest('conversations.list', { filters, page_size: 2 }, { token })).body;
    const cursor = first.response_metadata.next_cursor;
    const second = (await app.rest('conversations.list', { filters, page_size: 2, cursor }, { token })).body;
    const previous = second.response_metadata.previous_cursor;
    const back = (await app.rest('conversations.list', { filters, page_size: 2, cursor: previous }, { token })).body;
    expect(back.data).toEqual(first.data);
    expect([first, second, back].map((page) => page.response_metadata.filtered_total)).toEqual([5, 5, 5]);
    expect(first.response_metadata.previous_cursor).toBe('');
  });

  it('an offset beyond the end keeps the totals', async () => {
    const body = { filters: 'display_name:ada', cursor: 50 };
    const { data, response_metadata: meta } = (await app.rest('conversations.list', body, { token })).body;
    expect({ data, filtered: meta.filtered_total, total: meta.total }).toEqual({ data: [], filtered: 2, total: 6 });
  });

  it('a bare id begins the page; before it stands what matches, and nothing else', async () => {
    const page = async (id: string) =>
      (await app.rest('conversations.list', { filters: 'display_name:ada', cursor: id }, { token })).body;
    const newest = await page(named['Ada Byron']!);
    expect(newest.response_metadata.previous_cursor).toBe('');
    const older = await page(named['Ada Lovelace']!);
    expect(older.data.map(({ id }: Json) => id)).toEqual([named['Ada Lovelace']]);
    expect(older.response_metadata.previous_cursor).not.toBe('');
  });

  it('a conversation that moves while a client pages is not met twice', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const made = [];
    for (let n = 0; n < 4; n += 1) {
      made.push(await app.make.conversation({ source, channel, messages: [{ sent_at: 1_500_000_000_000 + n }] }));
    }
    const filters = `channel_id:${channel.id}`;
    const first = (await app.rest('conversations.list', { filters, page_size: 2 }, { token })).body;
    const newest = { ...made[3]!.place, sent_at: 1_500_000_009_000 };
    await app.make.webhook(source, { messages: [app.make.webhookMessage(newest)] });
    const cursor = first.response_metadata.next_cursor;
    const second = (await app.rest('conversations.list', { filters, page_size: 2, cursor }, { token })).body;
    expect([...first.data, ...second.data].map(({ id }: Json) => id)).toEqual(made.map(({ id }) => id).reverse());
  });
});
