import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

// "Pagination" of the legacy contract, and the paging items of its checklist.

let app: App;
let caller: { token: string };
beforeAll(async () => {
  app = await startApp();
  caller = { token: (await app.make.user()).token };
});

interface Page {
  ids: string[];
  previous: string;
  next: string;
  total: number;
  filteredTotal: number;
}

async function page(name: string, request: Json): Promise<Page> {
  const { status, body, text } = await app.rest(name, request, caller);
  if (status !== 200) throw new Error(`${status}: ${text}`);
  const { response_metadata: known, pagination_data: later } = body;
  // Both dialects say the same, with "" and null for "no page".
  expect([later.previous_cursor ?? '', later.next_cursor ?? '', later.total]).toEqual([
    known.previous_cursor,
    known.next_cursor,
    known.filtered_total,
  ]);
  expect([known.previous_cursor, known.next_cursor]).not.toContain(null);
  expect([later.previous_cursor, later.next_cursor]).not.toContain('');
  return {
    ids: body.data.map(({ id }: Json) => id),
    previous: known.previous_cursor,
    next: known.next_cursor,
    total: known.total,
    filteredTotal: known.filtered_total,
  };
}

/** Follows `next` or `previous` until there is none. */
async function walk(name: string, request: Json, way: 'next' | 'previous'): Promise<Page[]> {
  const pages = [await page(name, request)];
  for (;;) {
    const cursor = pages.at(-1)![way];
    if (cursor === '') return pages;
    pages.push(await page(name, { ...request, cursor }));
  }
}

/** The next instant, later than all before: conversations made with it stand at the top of the list. */
let latest = Date.now();
function nextInstant(): number {
  latest += 1_000;
  return latest;
}

/** `count` conversations on one channel, newest activity first. */
async function newConversations(count: number) {
  const source = await app.make.source();
  const channel = await app.make.channel(source);
  const made: Awaited<ReturnType<typeof app.make.conversation>>[] = [];
  for (let index = 0; index < count; index += 1) {
    made.unshift(await app.make.conversation({ source, channel, messages: [{ sent_at: nextInstant() }] }));
  }
  return { source, made, ids: made.map(({ id }) => id) };
}

async function newMessages(count: number) {
  const { id: conversation_id, messageIds } = await app.make.conversation({
    messages: Array.from({ length: count }, (_, index) => ({ sent_at: 1_600_000_000_000 + index })),
  });
  return { conversation_id, ids: messageIds };
}

describe('conversations.list', () => {
  it('walks forward to the end and back again, each conversation once', async () => {
    const { ids } = await newConversations(35);
    const forward = await walk('conversations.list', { page_size: 10 }, 'next');
    const all = forward.flatMap((one) => one.ids);
    expect(all.slice(0, 35)).toEqual(ids);
    expect(new Set(all).size).toBe(all.length);
    expect(forward[0]!.previous).toBe('');
    for (const middle of forward.slice(1, -1)) expect([middle.previous, middle.next]).not.toContain('');
    for (const one of forward) expect([one.total, one.filteredTotal]).toEqual([all.length, all.length]);

    const last = forward.at(-2)!.next;
    const back = await walk('conversations.list', { page_size: 10, cursor: last }, 'previous');
    expect(back.map((one) => one.ids).reverse()).toEqual(forward.map((one) => one.ids));
    expect(back[1]!.next).not.toBe('');
  });

  it('repeats and skips nothing when a conversation moves to the top meanwhile', async () => {
    const { source, made, ids } = await newConversations(9);
    const first = await page('conversations.list', { page_size: 3 });
    const moved = made[7]!;
    await app.make.webhook(source, {
      messages: [app.make.webhookMessage({ ...moved.place, sent_at: nextInstant() })],
    });
    const second = await page('conversations.list', { page_size: 3, cursor: first.next });
    const third = await page('conversations.list', { page_size: 3, cursor: second.next });
    expect([...first.ids, ...second.ids]).toEqual(ids.slice(0, 6));
    expect(third.ids.slice(0, 2)).toEqual([ids[6], ids[8]]);
    const back = await page('conversations.list', { page_size: 3, cursor: second.previous });
    expect(back.ids).toEqual(first.ids);
    expect((await page('conversations.list', { page_size: 3, cursor: back.previous })).ids).toEqual([moved.id]);
  });

  it('a bare id means its present place', async () => {
    const { ids } = await newConversations(4);
    const from = await page('conversations.list', { page_size: 2, cursor: ids[1] });
    expect(from.ids).toEqual([ids[1], ids[2]]);
    expect((await page('conversations.list', { page_size: 2, cursor: from.previous })).ids).toEqual([ids[0]]);
    expect((await page('conversations.list', { cursor: ids[0] })).previous).toBe('');
  });

  it('ties stand by id downwards', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const sent_at = nextInstant();
    const made = [];
    for (let index = 0; index < 5; index += 1) {
      made.push((await app.make.conversation({ source, channel, messages: [{ sent_at }] })).id);
    }
    const pages = [await page('conversations.list', { page_size: 2 })];
    pages.push(await page('conversations.list', { page_size: 2, cursor: pages[0]!.next }));
    pages.push(await page('conversations.list', { page_size: 1, cursor: pages[1]!.next }));
    expect(pages.flatMap((one) => one.ids)).toEqual(made.sort().reverse());
  });

  it('an empty list has no cursors and totals of 0', async () => {
    const empty = await startApp();
    const { token } = await empty.make.user();
    const { status, body } = await empty.rest('conversations.list', undefined, { token });
    expect([status, body]).toEqual([
      200,
      {
        data: [],
        response_metadata: { previous_cursor: '', next_cursor: '', filtered_total: 0, total: 0, badge_unread_count: 0 },
        pagination_data: { previous_cursor: null, next_cursor: null, total: 0 },
      },
    ]);
    await empty.stop();
  });

  it('an offset beyond the end: empty data, right totals', async () => {
    await newConversations(1);
    const { total } = await page('conversations.list', { page_size: 1 });
    for (const cursor of [total, String(total + 5), 2_000_000_000, 5_000_000_000]) {
      const beyond = await page('conversations.list', { cursor, page_size: 2 });
      expect([cursor, beyond.ids, beyond.next, beyond.total]).toEqual([cursor, [], '', total]);
    }
  });
});

describe('messages.list', () => {
  it('walks 4 pages of 10 forward and back again, with exact totals', async () => {
    const { conversation_id, ids } = await newMessages(40);
    const forward = await walk('messages.list', { conversation_id, page_size: 10 }, 'next');
    expect(forward.map((one) => one.ids)).toEqual([0, 10, 20, 30].map((at) => ids.slice(at, at + 10)));
    expect(forward.map((one) => one.previous === '')).toEqual([true, false, false, false]);
    expect(forward.map(({ total, filteredTotal }) => [total, filteredTotal])).toEqual(Array(4).fill([40, 40]));

    const last = { conversation_id, page_size: 10, cursor: forward[2]!.next };
    const back = await walk('messages.list', last, 'previous');
    expect(back.map((one) => one.ids).reverse()).toEqual(forward.map((one) => one.ids));
    expect(back.map((one) => one.next === '')).toEqual([true, false, false, false]);
  });

  it('a page larger than the list has no cursors', async () => {
    const { conversation_id, ids } = await newMessages(3);
    const only = await page('messages.list', { conversation_id, page_size: 50 });
    expect(only).toEqual({ ids, previous: '', next: '', total: 3, filteredTotal: 3 });
  });

  it('a page that ends with the list has no next cursor', async () => {
    const { conversation_id } = await newMessages(4);
    const pages = await walk('messages.list', { conversation_id, page_size: 2 }, 'next');
    expect(pages.map((one) => one.ids.length)).toEqual([2, 2]);
  });

  it('page_size: null and 0 mean 20, more than 100 means 100, other values are 400', async () => {
    const { conversation_id } = await newMessages(101);
    const sizes = [undefined, null, 0, 1, 100, 101, 5_000_000_000];
    const lengths = [];
    for (const page_size of sizes)
      lengths.push((await page('messages.list', { conversation_id, page_size })).ids.length);
    expect(lengths).toEqual([20, 20, 20, 1, 100, 100, 100]);
    for (const page_size of [-1, 1.5, '20', '', true, [], {}]) {
      const { status, body } = await app.rest('messages.list', { conversation_id, page_size }, caller);
      expect([page_size, status, body.errors[0].path]).toEqual([page_size, 400, 'page_size']);
    }
  });

  it('cursor: null, "", 0 and "0" mean the start', async () => {
    const { conversation_id, ids } = await newMessages(3);
    for (const cursor of [undefined, null, '', 0, '0']) {
      const first = await page('messages.list', { conversation_id, cursor, page_size: 2 });
      expect([cursor, first.ids, first.previous]).toEqual([cursor, ids.slice(0, 2), '']);
    }
  });

  it('cursor: a number and a string of digits are an offset', async () => {
    const { conversation_id, ids } = await newMessages(5);
    for (const cursor of [1, '1', 3, '3']) {
      const from = await page('messages.list', { conversation_id, cursor, page_size: 2 });
      expect([cursor, from.ids]).toEqual([cursor, ids.slice(Number(cursor), Number(cursor) + 2)]);
      const before = await page('messages.list', { conversation_id, cursor: from.previous, page_size: 2 });
      expect([cursor, before.ids]).toEqual([cursor, ids.slice(Math.max(0, Number(cursor) - 2), Number(cursor))]);
    }
  });

  it('an offset beyond the end: empty data, right totals', async () => {
    const { conversation_id } = await newMessages(2);
    for (const cursor of [2, 50, '999999999', 5_000_000_000]) {
      const beyond = await page('messages.list', { conversation_id, cursor });
      expect([cursor, beyond.ids, beyond.next, beyond.total]).toEqual([cursor, [], '', 2]);
    }
  });

  it('cursor: a bare id begins the page with it; the first has no previous', async () => {
    const { conversation_id, ids } = await newMessages(4);
    const from = await page('messages.list', { conversation_id, cursor: ids[2], page_size: 2 });
    expect(from.ids).toEqual(ids.slice(2));
    const before = await page('messages.list', { conversation_id, cursor: from.previous, page_size: 2 });
    expect([before.ids, before.previous]).toEqual([ids.slice(0, 2), '']);
    expect((await page('messages.list', { conversation_id, cursor: ids[0] })).previous).toBe('');
  });

  it('cursor: an id of another conversation, and a cursor of one, are 400', async () => {
    const { conversation_id } = await newMessages(2);
    const other = await newMessages(3);
    const { next } = await page('messages.list', { conversation_id: other.conversation_id, page_size: 1 });
    for (const cursor of [other.ids[1], next]) {
      const { status, body } = await app.rest('messages.list', { conversation_id, cursor }, caller);
      expect([cursor, status, body?.errors?.[0].path]).toEqual([cursor, 400, 'cursor']);
    }
  });
});

it('an unknown cursor, or one of another list, is 400', async () => {
  const { conversation_id } = await newMessages(2);
  await newConversations(2);
  const ofMessages = (await page('messages.list', { conversation_id, page_size: 1 })).next;
  const ofConversations = (await page('conversations.list', { page_size: 1 })).next;
  const unknown = [
    'next-page-uuid',
    'before:',
    'before:x',
    'a688d36c-a85e-44af-bc02-4248c2c97622',
    '-1',
    '1.5',
    ' ',
    -1,
    1.5,
    true,
    {},
    [],
  ];
  const forged = [
    ['conversations'],
    ['conversations', 'x', conversation_id],
    ['conversations', -8.64e15, conversation_id],
    ['conversations', 8.65e15, conversation_id],
    ['conversations', 1, 'y'],
    ['messages', 1e300, 1, conversation_id],
    ['messages', -8.64e15, 1, conversation_id],
    ['messages', 8.64e15, 1, conversation_id],
    ['messages', 1, '1', conversation_id],
    ['messages', 1, 2 ** 31, conversation_id],
    ['messages', 1, 1],
  ].map((key) => Buffer.from(JSON.stringify(key)).toString('base64url'));
  for (const [name, request, foreign] of [
    ['conversations.list', {}, ofMessages],
    ['messages.list', { conversation_id }, ofConversations],
  ] as const) {
    for (const cursor of [foreign, `before:${foreign}`, ...unknown, ...forged]) {
      const { status, body } = await app.rest(name, { ...request, cursor }, caller);
      expect([name, cursor, status, body?.errors?.[0].path]).toEqual([name, cursor, 400, 'cursor']);
    }
  }
});

it('badge_unread_count is the sum of the unread messages', async () => {
  const badge = async () =>
    (await app.rest('conversations.list', {}, caller)).body.response_metadata.badge_unread_count;
  const before = await badge();
  const { id: conversation_id } = await app.make.conversation({ messages: [{}, {}, { from_contact: false }] });
  await app.make.conversation({ messages: [{}] });
  expect(await badge()).toBe(before + 3);
  await app.rest('conversations.read', { conversation_id }, caller);
  expect(await badge()).toBe(before + 1);
});
