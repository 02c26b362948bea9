import fc from 'fast-check';
import { sql } from 'kysely';
import { systemCtx } from '../../src/domain/context.ts';
import type { RowsWindow } from '../../src/domain/messaging/conversations/conversation-rows.ts';
import { findMatches } from '../../src/domain/messaging/conversations/filter-pages.ts';
import { simplified } from '../../src/domain/messaging/conversations/filter-plan.ts';
import { type Filter, leavesOf } from '../../src/domain/messaging/conversations/filter-tree.ts';
import { sourceNames } from '../../src/domain/messaging/sources/source.service.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { type FilterValues, filterArbitrary } from '../support/filter-arbitrary.ts';
import { evaluate, type FilteredConversation } from '../support/filter-evaluator.ts';
import { print } from '../support/filter-printer.ts';

const names = [
  'Ada Lovelace',
  'Grace Hopper',
  'GRACE',
  'Ada King-Lovelace',
  'Ångström Ωmega',
  'ΟΔΟΣ',
  'ΟΔΟΣΑΣ Ada',
  '100% _real_',
  'Gracely (Dr.)',
  'Graec Hoppre',
  '  Ada   Byron ',
  '日本 太郎',
  '...',
  'a',
  undefined,
];
const facts: Json[] = [
  {},
  { erp: { id: 'abc' }, vip: true },
  { erp: { id: 'ABC-7', level: 3 }, list: ['Ada', 5, { deep: 'abc' }, null] },
  { erp: 'abc', note: 'Grace said: 100% _real_\n"quoted" \\ back' },
  { erp: { id: null, level: 0.5 }, vip: false, list: [] },
  { long: Array.from({ length: 300 }, (_, index) => `w${index}`).join(' ') },
];

/** A page, and the place in the list that it begins behind. */
type Way = Omit<RowsWindow, 'where'> & { behind?: number | undefined };

/** Conversations that differ in everything that filters ask for, and what is known of them. */
export class FilterGround {
  readonly app: App;
  readonly token: string;
  /** In the order of the list. */
  readonly known: FilteredConversation[];
  readonly values: FilterValues;

  private constructor(app: App, token: string, known: FilteredConversation[]) {
    this.app = app;
    this.token = token;
    this.known = known;
    const distinct = (of: (one: FilteredConversation) => string[]) => [...new Set(known.flatMap(of))];
    const unknown = '01900000-0000-7000-8000-000000000000';
    this.values = {
      ids: [...known.slice(0, 6).map(({ id }) => id), unknown, 'no id'],
      channelIds: [...distinct(({ channelId }) => [channelId]), unknown],
      sources: [...distinct(({ source }) => [source]), 'Facebook', 'my_100%', 'nobody'],
      tagIds: [...distinct(({ tagIds }) => tagIds), unknown],
      assigneeIds: [...distinct(({ assigneeId }) => (assigneeId ? [assigneeId] : [])), unknown],
      words: [
        ...[
          'Ada',
          'Lovelace',
          'GRACE',
          'Grace',
          'Hopper',
          'King',
          'ångström',
          'ωMEGA',
          'οδος',
          'ΟΔΟΣ',
          '100%',
          '_real_',
          'abc',
          'ABC-7',
        ],
        ...[
          'Facebook',
          'Sms',
          '太郎',
          'true',
          '3',
          '0.5',
          'w7',
          'said: 100',
          'quoted',
          'Nobody',
          known[0]!.id.slice(-5),
        ],
      ],
      metadataPaths: [
        ['user_data', 'erp', 'id'],
        ['user_data', 'erp', 'level'],
        ['user_data', 'erp'],
        ['user_data', 'vip'],
        ['user_data', 'list'],
        ['user_data', 'list', '0'],
        ['user_data', 'list', '-1'],
        ['user_data', 'note'],
        ['user_data', 'long'],
        ['public', 'ad', 'id'],
        ['ad', 'id'],
        ['contact', 'avatar_url'],
        ['nothing'],
      ],
      instants: known.slice(0, 8).flatMap(({ createdAt, lastMessageAt }) => [createdAt, lastMessageAt]),
      counts: [0, 1, 2, 3, 100],
    };
  }

  static async start(count = 48): Promise<FilterGround> {
    const app = await startApp();
    const { token } = await app.make.admin();
    const call = async (name: string, body: Json) => {
      const { status, text } = await app.rest(name, body, { token });
      if (status >= 300) throw new Error(`${name}: ${status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    };
    const places: Json[] = [];
    for (const sourceId of ['facebook', 'twilio.sms', 'my_100%']) {
      const source = await app.make.source({ sourceId });
      for (let channel = 0; channel < 2; channel += 1) places.push({ source, channel: await app.make.channel(source) });
    }
    const tags: string[] = [];
    for (const name of ['one', 'two', 'three']) tags.push((await call('tags.create', { name, color: 'red' })).id);
    const people = [await app.make.user(), await app.make.user()];
    const data = (query: string, variables: Json) => app.data(query, variables, token);
    for (let n = 0; n < count; n += 1) {
      const { id } = await app.make.conversation({
        ...places[n % places.length],
        displayName: names[n % names.length],
        messages: Array.from({ length: 1 + (n % 3) }, (_, k) => ({
          // Some have the same instant: the id decides.
          sent_at: 1_600_000_000_000 + Math.floor(n / 2) * 60_000 + k,
          from_contact: n % 4 !== 0,
        })),
      });
      if (n % 5 === 1) await call('conversations.read', { conversation_id: id });
      if (n % 7 < 2) await call('conversations.tag', { conversation_id: id, tag_id: tags[n % 3] });
      if (n % 7 === 0) await call('conversations.tag', { conversation_id: id, tag_id: tags[(n + 1) % 3] });
      if (n % 6 < 2)
        await call('conversations.set-state', { conversation_id: id, state: n % 6 ? 'CLOSED' : 'SNOOZED' });
      if (n % 4 === 1) {
        const input = { conversationId: id, userId: people[n % 2]!.id };
        await data('mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { changed } }', {
          input,
        });
      }
      await call('metadata.upsert', { subject: 'conversation', id, data: facts[n % facts.length] });
      if (n % 5 === 0) await call('metadata.set', { conversation_id: id, key: 'ad.id', value: n % 2 ? 'abc' : 7 });
    }
    const { data: shown } = await call('conversations.list', { page_size: 100 });
    const { conversations } = await data(
      `{ conversations(first: 100) { nodes { legacyId sourceId channel { legacyId } createdAt lastMessageAt unreadCount
        tags { legacyId } state assignee { legacyId } metadata } } }`,
      {},
    );
    const known = conversations.nodes.map(
      (node: Json, index: number): FilteredConversation => ({
        id: node.legacyId,
        channelId: node.channel.legacyId,
        source: node.sourceId,
        displayName: shown[index].metadata.contact.display_name,
        createdAt: Date.parse(node.createdAt),
        lastMessageAt: Date.parse(node.lastMessageAt),
        unreadCount: node.unreadCount,
        tagIds: node.tags.map((tag: Json) => tag.legacyId),
        state: node.state,
        assigneeId: node.assignee?.legacyId ?? null,
        metadata: node.metadata,
      }),
    );
    return new FilterGround(app, token, known);
  }

  /** Those that are no larger than a filter may be. */
  get filters(): fc.Arbitrary<Filter> {
    return filterArbitrary(this.values).filter((filter) => {
      const wildcards = leavesOf(filter).flatMap((leaf) => ('pattern' in leaf ? leaf.pattern : []));
      const isNear = ({ kind }: { kind: string }) => kind === 'near';
      if (leavesOf(filter).filter(isNear).length > 4) return false;
      return leavesOf(filter).length <= 64 && wildcards.filter((part) => typeof part === 'string').length <= 8;
    });
  }

  expected(filter: Filter): string[] {
    return this.known.filter((one) => evaluate(filter, one)).map(({ id }) => id);
  }

  /** What the API lists for it page by page, and how many it says there are. */
  async listed(filter: Filter, first: number): Promise<{ ids: string[]; total: number }> {
    const ids: string[] = [];
    for (let after: string | undefined; ; ) {
      const { conversations } = await this.app.data(
        `query ($filter: ConversationFilterInput, $first: Int, $after: Cursor) {
          conversations(filter: $filter, first: $first, after: $after) {
            filteredTotal pageInfo { hasNextPage endCursor } nodes { legacyId } } }`,
        { filter: { query: print(filter) }, first, after },
        this.token,
      );
      ids.push(...conversations.nodes.map((node: Json) => node.legacyId));
      after = conversations.pageInfo.endCursor;
      if (!conversations.pageInfo.hasNextPage) return { ids, total: conversations.filteredTotal };
    }
  }

  /**
   * The same list by the ways that are meant for millions of conversations: what is few here is a handful.
   *
   * @throws where it is not the part of the list that it must be
   */
  async checkWays(filter: Filter, { behind, ...window }: Way): Promise<void> {
    const { backwards, limit, offset } = window;
    const ctx = systemCtx(this.app.core, 'filters');
    const asked = { filter: simplified(filter), sources: await sourceNames(ctx) };
    const lengths = { narrowest: 2, longestWalk: 6, longestRead: 6 };
    const cursor = behind === undefined ? undefined : this.known[behind % this.known.length]!;
    const where = cursor
      ? sql`(last_message_at, conversation_id) ${backwards ? sql`>` : sql`<`}
          (${new Date(cursor.lastMessageAt).toISOString()}::timestamptz, ${cursor.id}::uuid)`
      : sql`true`;
    const { found, matches } = await findMatches(ctx, asked, { window: { ...window, where } }, lengths);
    const ids = this.expected(filter);
    const total = ids.length;
    const place = (id: string) => this.known.findIndex((one) => one.id === id);
    const isBehind = (id: string) =>
      !cursor || (backwards ? place(id) < place(cursor.id) : place(id) > place(cursor.id));
    const expected = (backwards ? ids.reverse() : ids).filter(isBehind).slice(offset, offset + limit);
    const isRight = JSON.stringify(found.map((row) => row.c_id)) === JSON.stringify(expected);
    if (isRight && (matches === undefined || matches === total)) return;
    throw new Error(`${print(filter)}: ${found.length} of ${matches} for ${expected.length} of ${total}, or others`);
  }

  /** @throws where the list is not what a look at each conversation says */
  async check(filter: Filter, pageSize: number): Promise<void> {
    const ids = this.expected(filter);
    const found = await this.listed(filter, pageSize);
    if (JSON.stringify(found) === JSON.stringify({ ids, total: ids.length })) return;
    const name = (id: string) => this.known.find((one) => one.id === id);
    const missing = ids.filter((id) => !found.ids.includes(id)).map(name);
    const wrong = found.ids.filter((id) => !ids.includes(id)).map(name);
    throw new Error(
      `${print(filter)}: total ${found.total} for ${ids.length}; missing ${JSON.stringify(missing)}; wrong ${JSON.stringify(wrong)}`,
    );
  }
}

export function checkFilters(ground: FilterGround, program: { seed: number; numRuns: number }): Promise<void> {
  const property = fc.asyncProperty(ground.filters, fc.integer({ min: 5, max: 60 }), (filter, size) =>
    ground.check(filter, size),
  );
  return fc.assert(property, program);
}

export function checkWays(ground: FilterGround, program: { seed: number; numRuns: number }): Promise<void> {
  const window = fc.record({
    backwards: fc.boolean(),
    limit: fc.integer({ min: 1, max: 9 }),
    offset: fc.oneof(fc.constant(0), fc.nat(12)),
    behind: fc.option(fc.nat(), { nil: undefined }),
  });
  return fc.assert(
    fc.asyncProperty(ground.filters, window, (filter, one) => ground.checkWays(filter, one)),
    program,
  );
}
