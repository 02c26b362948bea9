import { isDeepStrictEqual } from 'node:util';
import { sourceThingId } from '../src/domain/ids.ts';
import { type Contestant, type Credentials, call } from './contestants.ts';
import { type FilterName, filterCases } from './filters.ts';
import type { DataSet, Matches } from './load-data.ts';
import { withConnection } from './postgres.ts';

/** What a database must hold after an operation. */
export interface Expected {
  url: string;
  data: DataSet;
  /** Messages that were acknowledged. */
  messages: number;
  /** Whether they were sent by a user, else they came from contacts. */
  areSent: boolean;
  /** By the clock of this machine. */
  since: Date;
}

interface Counts {
  messages: number;
  counted: number;
  unread: number;
  conversations: number;
  unread_counter: number;
  conversation_counter: number;
  created_events: number;
  undelivered: number;
  attempts: number;
}

const countsSql = `
  select m.*, c.*, e.*,
    (select coalesce(sum(value), 0)::int from counter where name = 'unread_messages') unread_counter,
    (select coalesce(sum(value), 0)::int from counter where name = 'conversations') conversation_counter,
    (select count(*)::int from delivery_attempt) attempts
  from (select count(*)::int messages, (count(*) filter (where delivery_state <> 'DELIVERED'))::int undelivered from message) m,
    (select sum(message_count)::int counted, sum(unread_count)::int unread, count(*)::int conversations from conversation) c,
    (select (count(*) filter (where kind = 'message.created'))::int created_events from event) e`;

// Of the conversations that were touched: numbers without gap or double, and the newest message as the last one.
const touchedSql = `
  select count(*)::int wrong from (
    select c.id from conversation c join message m on m.conversation_id = c.id
    where c.updated_at >= $1
    group by c.id
    having count(*) <> count(distinct m.sequence) or count(*) <> c.message_count or max(m.sent_at) <> c.last_message_at
      or max(m.sequence) >= c.next_sequence) touched`;

/** Counts the rows: all that was acknowledged is there once, and every maintained number is exact. */
export async function databaseFaults(expected: Expected): Promise<string[]> {
  const { data, messages, areSent, since } = expected;
  const [counts, wrong] = await withConnection(expected.url, async (client) => [
    (await client.query<Counts>(countsSql)).rows[0]!,
    // The loaded rows are years old: a clock that differs by an hour does no harm.
    (await client.query<{ wrong: number }>(touchedSql, [new Date(since.getTime() - 3_600_000)])).rows[0]!.wrong,
  ]);
  const rules: [string, number, number][] = [
    ['messages', counts.messages, data.messages + messages],
    ['the sum of message_count', counts.counted, data.messages + messages],
    ['the sum of unread_count', counts.unread, data.unread + (areSent ? 0 : messages)],
    ['the counter of unread messages', counts.unread_counter, counts.unread],
    ['the counter of conversations', counts.conversation_counter, counts.conversations],
    ['events of new messages', counts.created_events, messages],
    ['messages that are not DELIVERED', counts.undelivered, 0],
    ['delivery attempts', counts.attempts, areSent ? messages : 0],
    ['conversations with wrong numbers', wrong, 0],
  ];
  return rules.flatMap(([what, is, should]) => (is === should ? [] : `${what}: ${is} instead of ${should}`));
}

/** Yardstick and gateway must say the same of the same rows; cursors are opaque, each may have its own. */
export async function sameAnswers(
  yardstick: Contestant,
  gateway: Contestant,
  { sourceId, userToken, matches }: Credentials & { matches: Matches },
): Promise<string[]> {
  const filters = (['name', 'tag', 'unread'] satisfies FilterName[]).flatMap((name) => filterCases(name, matches));
  const asked: [string, object][] = [
    ['conversations.list', { page_size: 20 }],
    ['conversations.list', { page_size: 50 }],
    ...filters.map(({ filters }): [string, object] => ['conversations.list', { page_size: 20, filters }]),
    ['messages.list', { page_size: 20, conversation_id: sourceThingId(sourceId, 'c7') }],
    ['messages.list', { page_size: 20, conversation_id: sourceThingId(sourceId, 'c0') }],
  ];
  const faults: string[] = [];
  for (const [path, body] of asked) {
    const [one, other] = await Promise.all(
      [yardstick, gateway].map(({ port }) => call<unknown>(port, path, body, { token: userToken })),
    );
    if (!isDeepStrictEqual(withoutCursors(one), withoutCursors(other))) {
      faults.push(`${path}: yardstick and gateway answer ${JSON.stringify(body)} differently`);
    }
  }
  return faults;
}

function withoutCursors(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer, (key, value) => (key.endsWith('_cursor') && value ? 'a cursor' : value)));
}
