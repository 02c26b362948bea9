import pg from 'pg';
import { sourceThingId } from '../../src/domain/ids.ts';
import type { Json } from '../support/app.ts';
import { tellFigures } from './figures.ts';
import { type Ledger, percentile, type SentMessage } from './webhook-load.ts';

/** What a comparison of ledger and gateway came to. All zero: every promise of the ingest was kept. */
export interface Verdict {
  /** Acknowledged, and not there, by SQL or by messages.list. */
  lost: number;
  /** There more than once. */
  dup: number;
  /** There, and never sent so. */
  phantom: number;
  /** Batches of which a part is there. */
  torn: number;
  /** Batches that were never acknowledged, though their writer went on trying. */
  stuck: number;
  /** Conversations with a wrong unread count, message count, last message or sequence. */
  counters: number;
  /** Messages without their one `message.created` in the event log, or such events without their message. */
  events: number;
  /** The first faults in words. */
  notes: string[];
}

export const flawless: Verdict = {
  lost: 0,
  dup: 0,
  phantom: 0,
  torn: 0,
  stuck: 0,
  counters: 0,
  events: 0,
  notes: [],
};

export interface Stored {
  databaseUrl: string;
  sourceId: string;
  api: { url: string; token: string };
}

/** Compares what the writer knows with what is stored, by SQL and by messages.list. Reads only. */
export async function verify(ledger: Ledger, stored: Stored): Promise<Verdict> {
  const client = new pg.Client({ connectionString: stored.databaseUrl });
  await client.connect();
  const verdict: Verdict = { ...flawless, notes: [] };
  const fault: Fault = (kind, note) => {
    verdict[kind] += 1;
    if (verdict.notes.length < 20) verdict.notes.push(`${kind}: ${note}`);
  };
  try {
    await compareMessages(client, ledger, stored, fault);
    await compareCounters(client, fault);
    await compareEvents(client, fault);
    await compareLists(client, stored, fault);
  } finally {
    await client.end();
  }
  return verdict;
}

type Fault = (kind: Exclude<keyof Verdict, 'notes'>, note: string) => void;

interface MessageRow {
  source_message_id: string;
  source_conversation_id: string;
  from_contact: boolean;
  sent_at: number;
  text: string;
}

async function compareMessages(client: pg.Client, ledger: Ledger, { sourceId }: Stored, fault: Fault): Promise<void> {
  const { rows } = await client.query<MessageRow>(
    `select m.source_message_id, c.source_conversation_id, m.from_contact, m.content->>'text' as text,
       (extract(epoch from m.sent_at) * 1000)::float8 sent_at
     from message m join conversation c on c.id = m.conversation_id join source s on s.id = m.source
     where s.source_id = $1 and m.sender_type in ('CONTACT', 'SOURCE')`,
    [sourceId],
  );
  const present = new Set<string>();
  const sent = new Map(ledger.batches.flatMap(({ messages }) => messages.map((m) => [m.sourceMessageId, m] as const)));
  for (const row of rows) {
    const id = row.source_message_id;
    if (present.has(id)) fault('dup', id);
    present.add(id);
    const message = sent.get(id);
    if (!message || !isAsSent(row, message)) fault('phantom', `${id}: ${JSON.stringify(row)}`);
  }
  ledger.batches.forEach(({ messages, isAcked }, number) => {
    const missing = messages.filter(({ sourceMessageId }) => !present.has(sourceMessageId));
    if (isAcked) for (const { sourceMessageId } of missing) fault('lost', sourceMessageId);
    else fault('stuck', `batch ${number} was never acknowledged`);
    if (missing.length > 0 && missing.length < messages.length) {
      fault('torn', `batch ${number}: ${missing.length} of ${messages.length} are missing`);
    }
  });
}

function isAsSent(row: MessageRow, message: SentMessage): boolean {
  return (
    row.source_conversation_id === message.sourceConversationId &&
    row.from_contact === message.fromContact &&
    row.sent_at === message.sentAt &&
    row.text === message.text
  );
}

async function compareCounters(client: pg.Client, fault: Fault): Promise<void> {
  const { rows: conversations } = await client.query<{ source_conversation_id: string; wrong: string[] }>(
    `with counted as (
       select c.id, count(m.id)::int n, (count(m.id) filter (where m.from_contact))::int unread,
         max(m.sequence) last_sequence, count(distinct m.sequence)::int sequences, max(m.sent_at) last_at,
         (array_agg(m.id order by m.sent_at desc, m.sequence desc))[1] last_id
       from conversation c left join message m on m.conversation_id = c.id group by c.id)
     select * from (
       select c.source_conversation_id, array_remove(array[
         case when c.unread_count <> k.unread then 'unread ' || c.unread_count || ' instead of ' || k.unread end,
         case when c.message_count <> k.n then 'messages ' || c.message_count || ' instead of ' || k.n end,
         case when k.n = 0 then 'it is empty' end,
         case when k.sequences <> k.n then 'a sequence stands twice' end,
         case when c.next_sequence <= k.last_sequence then 'the next sequence is taken' end,
         case when c.last_message_at <> k.last_at then 'last_message_at' end,
         case when c.last_message_id <> k.last_id then 'last_message_id' end], null) wrong
       from conversation c join counted k using (id)) s
     where cardinality(wrong) > 0`,
  );
  for (const { source_conversation_id, wrong } of conversations) {
    fault('counters', `conversation ${source_conversation_id}: ${wrong.join(', ')}`);
  }
  const { rows: totals } = await client.query<{ name: string; kept: number; counted: number }>(
    `select name, coalesce((select sum(value) from counter k where k.name = t.name), 0)::int kept, counted
     from (select 'conversations' as name, count(*)::int counted from conversation
       union all select 'unread_messages', coalesce(sum(unread_count), 0)::int from conversation) t`,
  );
  for (const { name, kept, counted } of totals) {
    if (kept !== counted) fault('counters', `the total ${name} is ${kept} instead of ${counted}`);
  }
}

async function compareEvents(client: pg.Client, fault: Fault): Promise<void> {
  const { rows } = await client.query<{ id: string; events: number; is_stored: boolean }>(
    `select coalesce(m.id::text, e.id) id, coalesce(e.events, 0) events, m.id is not null is_stored
     from message m full join (
       select payload->>'messageId' as id, count(*)::int events from event where kind = 'message.created' group by 1) e
       on e.id = m.id::text
     where m.id is null or e.events is distinct from 1`,
  );
  for (const { id, events, is_stored } of rows) {
    fault('events', is_stored ? `message ${id} has ${events} events` : `event of ${id}, which is not there`);
  }
}

/** The same messages, once each and in order, must come out of messages.list. */
async function compareLists(client: pg.Client, { api, sourceId }: Stored, fault: Fault): Promise<void> {
  const { rows } = await client.query<{ id: string; theirs: string; messages: string[] }>(
    `select c.id, c.source_conversation_id theirs, array_agg(m.id::text order by m.sent_at, m.sequence) messages
     from conversation c join message m on m.conversation_id = c.id group by c.id`,
  );
  for (const { id, theirs, messages } of rows) {
    if (id !== sourceThingId(sourceId, theirs)) fault('phantom', `conversation ${theirs} has the id ${id}`);
    const listed = await listMessages(api, id);
    if (listed.join() === messages.join()) continue;
    const seen = new Set(listed);
    const missing = messages.filter((message) => !seen.has(message));
    if (missing.length > 0) fault('lost', `messages.list of ${theirs} leaves out ${missing.length}`);
    else if (seen.size < listed.length) fault('dup', `messages.list of ${theirs}`);
    else fault('phantom', `messages.list of ${theirs} has another order or more`);
  }
}

async function listMessages({ url, token }: Stored['api'], conversationId: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const response = await fetch(`${url}/messages.list`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: token },
      body: JSON.stringify({ conversation_id: conversationId, page_size: 100, ...(cursor && { cursor }) }),
    });
    if (response.status !== 200) throw new Error(`messages.list answered ${response.status}`);
    const page = (await response.json()) as Json;
    ids.push(...page.data.map((message: { id: string }) => message.id));
    cursor = page.pagination_data.next_cursor ?? undefined;
  } while (cursor);
  return ids;
}

/** The line that each run prints. */
export function report(name: string, verdict: Verdict, ledger: Ledger, rssMb: number, more = ''): void {
  const { lost, dup, phantom, stuck } = verdict;
  const p99 = percentile(ledger.latencies, 0.99);
  tellFigures(name, { lost, dup, phantom, stuck, p99, rss: rssMb }, `batches=${ledger.batches.length} ${more}`);
}
