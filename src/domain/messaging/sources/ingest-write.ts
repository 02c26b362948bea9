import { type RawBuilder, sql } from 'kysely';
import { movedBy } from '../../counters.ts';
import { type DomainEvent, eventsOf, heardBy, insertEvents } from '../../events.ts';
import { plainArray, textArray } from '../../statement.ts';
import { Overtaken, type Sends, sqlState } from '../../transaction.ts';
import type { IngestPlan } from './ingest-plan.ts';
import { pairKey } from './ingest-state.ts';

/**
 * Writes a plan and commits it, in one way to the database.
 *
 * @throws Overtaken between our look and our insert another transaction stored the same message, in another conversation, or
 * made the same contact: what was planned around it, such as a conversation of its own, must not stay
 */
export async function writePlan({ sendLast, hints }: Sends, plan: IngestPlan): Promise<void> {
  const { newContacts, newConversations, messages, contactNamings } = plan;
  const statements = [
    newContacts.length > 0 ? insertContacts(plan) : undefined,
    newConversations.length > 0 ? insertConversations(plan) : undefined,
    messages.length > 0 ? insertMessages(plan) : undefined,
    ...writeMetadata(plan),
    contactNamings.size > 0 ? nameContacts(plan) : undefined,
    ...(plan.heard.length > 0 ? heardBy(plan.heard) : []),
  ].filter((statement) => statement !== undefined);
  if (statements.length > 0) hints.add('event');
  if (plan.heard.length > 0) hints.add('lane');
  try {
    await sendLast(...statements);
  } catch (error) {
    if (sqlState(error) !== divisionByZero) throw error;
    throw new Overtaken('a message or a contact was stored by somebody else meanwhile');
  }
}

const divisionByZero = '22012';

/** A select that fails unless the rows are so many: the commit comes right behind it. */
function allOf(count: number, rows: string): RawBuilder<unknown> {
  return sql`select 1 / (count(*) = ${count}::int)::int from ${sql.table(rows)}`;
}

// Another process may make the same sender's contact in another conversation at the same time: the identity's key decides.
function insertContacts(plan: IngestPlan): RawBuilder<unknown> {
  const made = [...plan.newContacts].sort((a, b) =>
    pairKey(a.source, a.senderId) < pairKey(b.source, b.senderId) ? -1 : 1,
  );
  return sql`
    with made as (
      select * from unnest(${plainArray(made.map((c) => c.id))}::uuid[], ${plainArray(made.map((c) => c.source))}::uuid[],
        ${textArray(made.map((c) => c.senderId))}::text[]) with ordinality t(id, source, sender_id, n)),
    contacts as (insert into contact (id) select id from made),
    counted as (${movedBy(sql`(select 'contacts' name, count(*) delta from made) m`)}),
    identities as (
      insert into contact_identity (source, sender_id, contact_id)
      select source, sender_id, id from made order by n on conflict do nothing returning 1)
    ${allOf(made.length, 'identities')}`;
}

function insertConversations(plan: IngestPlan): RawBuilder<unknown> {
  const made = plan.newConversations;
  return sql`
    with made as (
      insert into conversation (id, source, source_conversation_id, channel_id, last_message_at, created_at)
      select id, source, theirs, channel, at, at from unnest(${plainArray(made.map((c) => c.id))}::uuid[],
        ${plainArray(made.map((c) => c.source))}::uuid[], ${textArray(made.map((c) => c.sourceConversationId))}::text[],
        ${plainArray(made.map((c) => c.channelId))}::uuid[], ${plainArray(made.map((c) => c.createdAt.toISOString()))}::timestamptz[])
        t(id, source, theirs, channel, at)
      order by id returning id, source, channel_id, last_message_at),
    placed as (
      insert into conversation_recency (last_message_at, conversation_id, unread_count)
      select last_message_at, id, 0 from made),
    counted as (${movedBy(sql`(
      select 'conversations' name, count(*) delta from made
      union all select 'conversations_channel:' || channel_id, count(*) from made group by channel_id
      union all select 'conversations_source:' || source, count(*) from made group by source) m`)})
    ${insertEvents(sql`select id, 'conversation.created', '{}'::jsonb from made order by id`)}`;
}

// One statement: rows, what they move on their conversations, counter and events, all by what was really inserted.
function insertMessages(plan: IngestPlan): RawBuilder<unknown> {
  const { messages } = plan;
  return sql`
    with incoming as (
      select * from unnest(${plainArray(messages.map((m) => m.id))}::uuid[], ${plainArray(messages.map((m) => m.conversationId))}::uuid[],
        ${plainArray(messages.map((m) => m.source))}::uuid[], ${textArray(messages.map((m) => m.sourceMessageId))}::text[],
        ${plainArray(messages.map((m) => m.sequence))}::int[], ${plainArray(messages.map((m) => m.fromContact))}::boolean[],
        ${textArray(messages.map((m) => m.senderId))}::text[], ${textArray(messages.map((m) => m.content))}::jsonb[],
        ${plainArray(messages.map((m) => m.sentAt.toISOString()))}::timestamptz[])
        t(id, conversation_id, source, source_message_id, sequence, from_contact, sender_id, content, sent_at)),
    inserted as (
      insert into message (id, conversation_id, source, source_message_id, sequence, from_contact, sender_type, sender_id,
        content, delivery_state, sent_at)
      select id, conversation_id, source, source_message_id, sequence, from_contact,
        case when from_contact then 'CONTACT' else 'SOURCE' end, sender_id, content, 'DELIVERED', sent_at
      from incoming order by id
      on conflict do nothing
      returning id, conversation_id, sequence, from_contact, sent_at),
    moves as (
      select conversation_id, count(*)::int n, (count(*) filter (where from_contact))::int unread,
        max(sequence) last_sequence, max(sent_at) last_at, (array_agg(id order by sent_at desc, sequence desc))[1] last_id
      from inserted group by conversation_id),
    contacts as (
      select * from unnest(${plainArray([...plan.contactOf.keys()])}::uuid[], ${plainArray([...plan.contactOf.values()])}::uuid[])
        t(conversation_id, contact_id)),
    moved as (
      update conversation c set
        unread_count = c.unread_count + m.unread, message_count = c.message_count + m.n,
        next_sequence = greatest(c.next_sequence, m.last_sequence + 1),
        last_message_id = case when c.last_message_id is null or m.last_at >= c.last_message_at then m.last_id
          else c.last_message_id end,
        last_message_at = case when c.last_message_id is null then m.last_at
          else greatest(c.last_message_at, m.last_at) end,
        contact_id = coalesce(c.contact_id, (select contact_id from contacts where conversation_id = c.id)),
        updated_at = now()
      from moves m where c.id = m.conversation_id
      returning c.id, old.last_message_at place, old.unread_count unread_before, c.last_message_at, c.unread_count),
    placed as (
      update conversation_recency r set last_message_at = m.last_message_at, unread_count = m.unread_count
      from moved m where r.last_message_at = m.place and r.conversation_id = m.id),
    unread as (${movedBy(sql`(
      select 'unread_conversations' name, count(*) delta from moved where unread_before = 0 and unread_count > 0
      union all select 'unread_messages', sum(unread) from moves) m`)}),
    logged as (${insertEvents(sql`select conversation_id, 'message.created', jsonb_build_object('messageId', id)
      from inserted order by conversation_id, sequence`)})
    ${allOf(messages.length, 'inserted')}`;
}

function writeMetadata(plan: IngestPlan): RawBuilder<unknown>[] {
  const { conversationMetadata: conversations, messageMetadata: messages, waiting, arrived } = plan;
  const statements: RawBuilder<unknown>[] = [];
  if (conversations.size > 0) {
    statements.push(
      sql`update conversation c set metadata = v.metadata, updated_at = now()
          from unnest(${plainArray([...conversations.keys()])}::uuid[], ${textArray(jsonTexts(conversations.values()))}::jsonb[]) v(id, metadata)
          where c.id = v.id`,
    );
  }
  if (messages.size > 0) {
    statements.push(
      sql`update message m set metadata = v.metadata
          from unnest(${plainArray([...messages.keys()])}::uuid[],
            ${textArray(jsonTexts([...messages.values()].map(({ metadata }) => metadata)))}::jsonb[]) v(id, metadata)
          where m.id = v.id`,
    );
  }
  const kept = [...waiting.values()];
  if (kept.length > 0) {
    statements.push(
      sql`insert into waiting_metadata (source, namespace, subject_id, metadata)
          select * from unnest(${plainArray(kept.map((w) => w.source))}::uuid[], ${textArray(kept.map((w) => w.namespace))}::text[],
            ${textArray(kept.map((w) => w.subjectId))}::text[], ${textArray(jsonTexts(kept.map((w) => w.metadata)))}::jsonb[])
          on conflict (source, namespace, subject_id) do update set metadata = excluded.metadata`,
    );
  }
  if (arrived.length > 0) {
    statements.push(
      sql`delete from waiting_metadata w using unnest(${plainArray(arrived.map((w) => w.source))}::uuid[],
            ${textArray(arrived.map((w) => w.namespace))}::text[], ${textArray(arrived.map((w) => w.subjectId))}::text[]) a(source, namespace, subject_id)
          where w.source = a.source and w.namespace = a.namespace and w.subject_id = a.subject_id`,
    );
  }
  const events: DomainEvent[] = [...conversations.keys()].map((id) => ({
    kind: 'conversation.updated',
    conversationId: id,
    payload: {},
  }));
  for (const [messageId, { conversationId, isNew }] of messages) {
    // A new message's own event shows its metadata already.
    if (!isNew) events.push({ kind: 'message.updated', conversationId, payload: { messageId } });
  }
  if (events.length > 0) statements.push(insertEvents(eventsOf(events)));
  return statements;
}

const jsonTexts = (values: Iterable<unknown>): string[] => [...values].map((value) => JSON.stringify(value));

function nameContacts(plan: IngestPlan): RawBuilder<unknown> {
  const named = [...plan.contactNamings].sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = (read: (naming: (typeof named)[number][1]) => string | undefined) =>
    named.map(([, naming]) => read(naming) ?? null);
  return sql`update contact c set display_name = n.display_name, first_name = n.first_name, last_name = n.last_name,
          avatar_url = n.avatar_url
        from (
          select b.id, coalesce(v.display_name, b.display_name) display_name,
            case when v.display_name is null then coalesce(v.first_name, b.first_name) else v.first_name end first_name,
            case when v.display_name is null then coalesce(v.last_name, b.last_name) else v.last_name end last_name,
            coalesce(v.avatar_url, b.avatar_url) avatar_url
          from unnest(${plainArray(named.map(([id]) => id))}::uuid[], ${textArray(texts((n) => n.displayName))}::text[],
            ${textArray(texts((n) => n.firstName))}::text[], ${textArray(texts((n) => n.lastName))}::text[], ${textArray(texts((n) => n.avatarUrl))}::text[])
            v(id, display_name, first_name, last_name, avatar_url) join contact b on b.id = v.id) n
        where c.id = n.id and (c.display_name, c.first_name, c.last_name, c.avatar_url)
          is distinct from (n.display_name, n.first_name, n.last_name, n.avatar_url)`;
}
