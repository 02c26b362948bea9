import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

// "Checklist of behaviours" of the legacy contract: pages of every list, and what conversations.list finds.

const rowsOf = (body: Json): string[] => body.data.map(({ id }: Json) => id);

describe('Paging', () => {
  let app: App;
  let admin: { id: string; token: string };
  /** Of each list: the request that names it, and the ids of all its rows. */
  const lists: Record<string, { request: Json; ids: string[] }> = {};

  beforeAll(async () => {
    app = await startApp();
    admin = await app.make.admin();
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const users = [admin.id];
    while (users.length < 40) users.push((await app.make.user()).id);
    const first = await app.make.conversation({
      source,
      channel,
      messages: Array.from({ length: 40 }, (_, index) => ({ sent_at: 1_600_000_000_000 + index })),
    });
    const conversations = [first.id];
    while (conversations.length < 40) conversations.push((await app.make.conversation({ source, channel })).id);
    const contacts: string[] = [];
    for (const conversation_id of conversations) {
      contacts.push((await app.rest('contacts.info', { conversation_id }, admin)).body.id);
    }
    lists['conversations.list'] = { request: {}, ids: conversations };
    lists['messages.list'] = { request: { conversation_id: first.id }, ids: first.messageIds };
    lists['contacts.list'] = { request: {}, ids: contacts };
    lists['users.list'] = { request: {}, ids: users };
  });

  const names = ['conversations.list', 'messages.list', 'contacts.list', 'users.list'];
  const ask = (name: string, more: Json) => app.rest(name, { ...lists[name]!.request, ...more }, admin);
  const page = async (name: string, more: Json): Promise<Json> => {
    const { status, text, body } = await ask(name, more);
    if (status !== 200) throw new Error(`${name} ${JSON.stringify(more)}: ${status} ${text}`);
    return body;
  };

  it.each(names)(
    '%s: middle page has both cursors; first has no previous, last no next; 4 pages of 10 forward and back again',
    async (name) => {
      const forward: Json[] = [];
      for (let cursor: string | null = null; forward.length < 4; cursor = forward.at(-1)!.pagination_data.next_cursor) {
        forward.push(await page(name, { page_size: 10, cursor }));
      }
      const ends = (way: string) => forward.map(({ pagination_data: later }) => later[way] === null);
      expect([ends('previous_cursor'), ends('next_cursor')]).toEqual([
        [true, false, false, false],
        [false, false, false, true],
      ]);
      for (const { response_metadata: known, pagination_data: later } of forward) {
        expect([known.previous_cursor, known.next_cursor, known.total, known.filtered_total, later.total]).toEqual([
          later.previous_cursor ?? '',
          later.next_cursor ?? '',
          40,
          40,
          40,
        ]);
      }
      expect(forward.map((one) => one.data.length)).toEqual([10, 10, 10, 10]);
      expect(forward.flatMap(rowsOf).sort()).toEqual([...lists[name]!.ids].sort());

      const back = [forward[3]];
      while (back.length < 4) {
        back.unshift(await page(name, { page_size: 10, cursor: back[0].pagination_data.previous_cursor }));
      }
      expect(back.map((one) => one.data)).toEqual(forward.map((one) => one.data));
      expect(back.map((one) => one.pagination_data.previous_cursor === null)).toEqual(ends('previous_cursor'));
    },
  );

  it.each(names)('%s: unknown cursor is an error', async (name) => {
    for (const cursor of ['unknown', 'a688d36c-a85e-44af-bc02-4248c2c97622', -1]) {
      const { status, body } = await ask(name, { cursor });
      expect([cursor, status, body.errors?.[0].path]).toEqual([cursor, 400, 'cursor']);
    }
  });

  it.each(names)('%s: page larger than the list', async (name) => {
    const { data, pagination_data: later } = await page(name, { page_size: 100 });
    expect([data.length, later]).toEqual([40, { previous_cursor: null, next_cursor: null, total: 40 }]);
  });

  it.each(names)('%s: null, 0 and "" mean the default', async (name) => {
    const first = rowsOf(await page(name, {}));
    expect(first).toHaveLength(20);
    for (const more of [{ page_size: null }, { page_size: 0 }, { cursor: null }, { cursor: 0 }, { cursor: '' }]) {
      expect([more, rowsOf(await page(name, more))]).toEqual([more, first]);
    }
  });

  it.each(names)('%s: numeric cursors 0, 1, 3', async (name) => {
    const all = rowsOf(await page(name, { page_size: 100 }));
    for (const cursor of [0, 1, 3]) {
      for (const written of [cursor, String(cursor)]) {
        const from = await page(name, { cursor: written, page_size: 2 });
        expect([written, rowsOf(from)]).toEqual([written, all.slice(cursor, cursor + 2)]);
        const previous = from.pagination_data.previous_cursor;
        if (cursor === 0) expect(previous).toBeNull();
        else {
          const before = await page(name, { cursor: previous, page_size: 2 });
          expect([written, rowsOf(before)]).toEqual([written, all.slice(Math.max(0, cursor - 2), cursor)]);
        }
      }
    }
  });

  it.each(names)('%s: offset beyond the end keeps the totals', async (name) => {
    for (const cursor of [40, '41', 1_000]) {
      const { data, response_metadata: known, pagination_data: later } = await page(name, { cursor });
      expect([cursor, data, known.total, known.filtered_total, later.total]).toEqual([cursor, [], 40, 40, 40]);
      expect([known.next_cursor, later.next_cursor]).toEqual(['', null]);
    }
  });

  it('users.list lists all', async () => {
    const { data } = await page('users.list', { page_size: 100 });
    expect(rowsOf({ data }).sort()).toEqual([...lists['users.list']!.ids].sort());
    expect(data.find(({ id }: Json) => id === admin.id)).toMatchObject({ name: 'Grace Hopper', avatar_url: null });
  });
});

it('empty list: 200 and no rows, before there is anything', async () => {
  const app = await startApp();
  const { token } = await app.make.admin();
  for (const [name, request] of [
    ['conversations.list', undefined],
    ['contacts.list', undefined],
    ['channels.list', undefined],
    ['sources.list', undefined],
    ['templates.list', { source: 'facebook' }],
  ] as const) {
    const { status, body } = await app.rest(name, request, { token });
    expect([name, status, body.data]).toEqual([name, 200, []]);
  }
  const { status, body } = await app.rest('tags.list', undefined, { token });
  expect([status, body]).toEqual([200, { tags: [], data: [] }]);
  await app.stop();
});

describe('conversations.list', () => {
  let app: App;
  let token: string;
  /** Oldest first: one, two and three unread. */
  const made: Awaited<ReturnType<App['make']['conversation']>>[] = [];
  const begun = [1_577_836_800_000, 1_577_836_800_001, 1_577_836_860_000] as const;

  beforeAll(async () => {
    app = await startApp();
    ({ token } = await app.make.user());
    for (const [index, displayName] of ['Ada Lovelace', 'Grace Hopper', 'Alan Turing'].entries()) {
      const sent_at = begun[index as 0];
      made.push(await app.make.conversation({ displayName, messages: Array(index + 1).fill({ sent_at }) }));
    }
  });

  const listed = async (filters: string, more: Json = {}): Promise<string[]> => {
    const { status, text, body } = await app.rest('conversations.list', { filters, ...more }, { token });
    if (status !== 200) throw new Error(`${filters}: ${status} ${text}`);
    return rowsOf(body);
  };
  const escaped = (id: string) => id.replaceAll('-', '\\-');
  const sourceOf = (index: number) => escaped(made[index]!.source.sourceId);

  it.each<[string, () => string, number[]]>([
    ['OR of two fields', () => `display_name:lovelace OR source:${sourceOf(2)}`, [2, 0]],
    ['OR of two fields, without the word', () => 'unread_count:2 display_name:turing', [2, 1]],
    ['OR of two fields, one of which finds nothing', () => `id:${escaped(made[0]!.id)} OR display_name:nobody`, [0]],
    ['id filter with escaped dashes', () => `id:${escaped(made[1]!.id)}`, [1]],
    ['id filter with escaped dashes in quotes', () => `id:"${escaped(made[1]!.id)}"`, [1]],
    ['display_name in upper case', () => 'display_name:LOVELACE', [0]],
    ['display_name in mixed case, in part', () => 'display_name:*oPPe*', [1]],
    ['source filter', () => `source:${sourceOf(1)}`, [1]],
    ['one of two sources', () => `source:(${sourceOf(0)} OR ${sourceOf(2)})`, [2, 0]],
    ['unread range', () => 'unread_count:[1 TO 2]', [1, 0]],
    ['unread range without its ends', () => 'unread_count:{1 TO 3}', [1]],
    ['unread exact', () => 'unread_count:3', [2]],
    ['unread exact, more than a column holds', () => 'unread_count:2147483648', []],
    ['unread range from more than a column holds', () => 'unread_count:[99999999999 TO *]', []],
    ['unread range to more than a column holds', () => 'unread_count:[3 TO 99999999999]', [2]],
    ['no hit', () => 'display_name:nobody OR unread_count:9', []],
    ['created_at range with ms values', () => `created_at:[${begun[0]} TO ${begun[1]}]`, [1, 0]],
    ['created_at range that ends a ms earlier', () => `created_at:[${begun[0]} TO ${begun[1] - 1}]`, [0]],
    ['created_at range with an open lower bound', () => `created_at:[* TO ${begun[1]}]`, [1, 0]],
    ['created_at range with an open lower bound, its end left out', () => `created_at:{* TO ${begun[1]}}`, [0]],
    ['created_at range with an open upper bound', () => `created_at:[${begun[1]} TO *]`, [2, 1]],
    ['created_at range with both bounds open', () => 'created_at:[* TO *]', [2, 1, 0]],
    ['created_at of one ms', () => `created_at:${begun[1]}`, [1]],
  ])('%s', async (_, filters, expected) => {
    expect(await listed(`(${filters()}) AND created_at:[* TO 1577836900000]`)).toEqual(
      expected.map((index) => made[index]!.id),
    );
    const found = new Set(await listed(filters(), { page_size: 100 }));
    expect(expected.every((index) => found.has(made[index]!.id))).toBe(true);
  });

  it('newest last message first, with a filter too', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const [one, two, three] = [
      await app.make.conversation({ source, channel, displayName: 'Zoe Zebra' }),
      await app.make.conversation({
        source,
        channel,
        displayName: 'Zoe Zebra',
        messages: [{ sent_at: 1_600_000_001_000 }],
      }),
      await app.make.conversation({
        source,
        channel,
        displayName: 'Zoe Zebra',
        messages: [{ sent_at: 1_600_000_002_000 }],
      }),
    ];
    const ids = new Set([one.id, two.id, three.id]);
    const expectOrder = async (...order: { id: string }[]) => {
      for (const filters of [
        `channel_id:${escaped(channel.id)}`,
        `source:${escaped(source.sourceId)}`,
        'display_name:*Zebra',
        'display_name:zebra OR unread_count:7',
        'NOT display_name:nobody',
        'id:*',
        '',
      ]) {
        const found = (await listed(filters, { page_size: 100 })).filter((id) => ids.has(id));
        expect([filters, found]).toEqual([filters, order.map(({ id }) => id)]);
      }
    };
    await expectOrder(three, two, one);
    const late = app.make.webhookMessage({ ...one.place, sent_at: 1_600_000_003_000 });
    await app.make.webhook(source, { messages: [late] });
    await expectOrder(one, three, two);
    // One that arrives now but was written long ago is not the newest.
    const old = app.make.webhookMessage({ ...two.place, sent_at: 1_600_000_000_500 });
    await app.make.webhook(source, { messages: [old] });
    await expectOrder(one, three, two);
    await app.rest('messages.send', { conversation_id: two.id, message: { text: 'Hello' } }, { token });
    await expectOrder(two, one, three);
  });

  it('numeric cursors 0, 1, 3 and an offset beyond the end, with a filter', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      const messages = [{ sent_at: 1_610_000_000_000 + index }];
      ids.unshift((await app.make.conversation({ source, channel, displayName: 'Yves Yak', messages })).id);
    }
    for (const filters of [`channel_id:${escaped(channel.id)}`, 'display_name:*yak', 'display_name:yves AND id:*']) {
      for (const cursor of [0, 1, 3, '3']) {
        const from = await listed(filters, { cursor, page_size: 2 });
        expect([filters, cursor, from]).toEqual([filters, cursor, ids.slice(Number(cursor), Number(cursor) + 2)]);
      }
      const { body } = await app.rest('conversations.list', { filters, cursor: 5 }, { token });
      expect([filters, body.data, body.response_metadata.filtered_total]).toEqual([filters, [], 5]);
      expect([body.pagination_data.total, body.pagination_data.next_cursor]).toEqual([5, null]);
    }
  });
});
