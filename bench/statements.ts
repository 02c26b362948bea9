/**
 * The hand-written SQL of the yardstick; pgbench runs the same text with rows of its own making. One statement an
 * operation, the same tables and the same outcome as the gateway.
 */

export interface IngestSql {
  /** SQL of the source's id. */
  source: string;
  /**
   * A select of ord, id, conversation_id, source_message_id, source_conversation_id, channel_id, sender, from_contact,
   * contact_id (for a sender who has none yet), content, sent_at.
   */
  incoming: string;
  /** SQL of the counters' slot: one for each connection, so that two never wait for one row. */
  slot: string;
}

/**
 * Takes messages: those that are there already change nothing. The rows of known conversations are locked first, in the
 * order of their ids, so sequences are right and two batches never deadlock. Gives the ids that were stored.
 */
export function ingestSql({ source, incoming, slot }: IngestSql): string {
  return `
  with incoming as materialized (${incoming}),
  held as materialized (
    select id, next_sequence from conversation
    where id = any (array(select conversation_id from incoming)) order by id for no key update),
  known as materialized (
    select distinct on (i.sender) i.sender, coalesce(k.contact_id, i.contact_id) contact_id, k.contact_id is null is_new
    from incoming i
    left join lateral (
      select contact_id from contact_identity where source = ${source} and sender_id = i.sender limit 1) k on true
    where i.from_contact order by i.sender, i.ord),
  contacts as (insert into contact (id) select contact_id from known where is_new),
  identities as (
    insert into contact_identity (source, sender_id, contact_id)
    select ${source}, sender, contact_id from known where is_new order by sender on conflict do nothing),
  stored as (
    insert into message (id, conversation_id, source, source_message_id, sequence, from_contact, sender_type, sender_id,
      content, delivery_state, sent_at)
    select i.id, i.conversation_id, ${source}, i.source_message_id,
      coalesce(h.next_sequence, 1) + row_number() over (partition by i.conversation_id order by i.ord) - 1,
      i.from_contact, case when i.from_contact then 'CONTACT' else 'SOURCE' end,
      coalesce(k.contact_id::text, i.sender), i.content, 'DELIVERED', i.sent_at
    from incoming i
    left join held h on h.id = i.conversation_id
    left join known k on i.from_contact and k.sender = i.sender
    order by i.id
    on conflict do nothing
    returning id, conversation_id, sequence, from_contact, sent_at),
  moves as materialized (
    select conversation_id, count(*)::int n, (count(*) filter (where from_contact))::int unread,
      max(sequence) last_sequence, min(sent_at) first_at, max(sent_at) last_at,
      (array_agg(id order by sent_at desc, sequence desc))[1] last_id
    from stored group by conversation_id),
  moved as (
    update conversation c set unread_count = c.unread_count + m.unread, message_count = c.message_count + m.n,
      next_sequence = greatest(c.next_sequence, m.last_sequence + 1),
      last_message_id = case when m.last_at >= c.last_message_at then m.last_id else c.last_message_id end,
      last_message_at = greatest(c.last_message_at, m.last_at), updated_at = now()
    from moves m where c.id = m.conversation_id and m.conversation_id in (select id from held)
    returning c.id, old.last_message_at place, old.unread_count unread_before, c.last_message_at, c.unread_count),
  moved_place as (
    update conversation_recency r set last_message_at = m.last_message_at, unread_count = m.unread_count
    from moved m where r.last_message_at = m.place and r.conversation_id = m.id),
  made as (
    insert into conversation as c (id, source, source_conversation_id, channel_id, contact_id, unread_count,
      message_count, next_sequence, last_message_at, last_message_id, created_at)
    select m.conversation_id, ${source}, i.source_conversation_id, i.channel_id, k.contact_id, m.unread,
      m.n, m.last_sequence + 1, m.last_at, m.last_id, m.first_at
    from moves m
    join (select distinct on (conversation_id) * from incoming order by conversation_id, ord) i using (conversation_id)
    left join known k on i.from_contact and k.sender = i.sender
    where m.conversation_id not in (select id from held)
    order by m.conversation_id
    on conflict (id) do update set unread_count = c.unread_count + excluded.unread_count,
      message_count = c.message_count + excluded.message_count,
      next_sequence = greatest(c.next_sequence, excluded.next_sequence),
      last_message_id = case when excluded.last_message_at >= c.last_message_at then excluded.last_message_id
        else c.last_message_id end,
      last_message_at = greatest(c.last_message_at, excluded.last_message_at), updated_at = now()
    returning c.id, c.xmax = 0 is_new, c.channel_id, c.last_message_at, c.unread_count),
  new_place as (
    insert into conversation_recency (last_message_at, conversation_id, unread_count)
    select last_message_at, id, unread_count from made where is_new),
  logged as (
    insert into event (conversation_id, kind, payload)
    select id, 'conversation.created', '{}'::jsonb from made where is_new
    union all
    select * from (
      select conversation_id, 'message.created', jsonb_build_object('messageId', id)
      from stored order by conversation_id, sequence) s),
  counted as (
    insert into counter as k (name, slot, value)
    select name, ${slot}, value from (
      select 'conversations' name, (select count(*) from made where is_new) value
      union all
      select 'conversations_channel:' || channel_id, count(*) from made where is_new group by channel_id
      union all
      select 'conversations_source:' || ${source}, (select count(*) from made where is_new)
      union all
      select 'unread_conversations', (select count(*) from moved where unread_before = 0 and unread_count > 0)
        + (select count(*) from made where is_new and unread_count > 0)
      union all
      select 'unread_messages', (select sum(unread) from moves)) c
    where value > 0 order by name
    on conflict (name, slot) do update set value = k.value + excluded.value)
  select id from stored`;
}

const messageColumns =
  'm.id, m.content, m.delivery_state, m.sender_type, m.sender_id, m.from_contact, m.sent_at, m.metadata';

/**
 * A page of conversations, read from the index of the order; both totals stand on each row. The limit is written into
 * the text: with a parameter for it PostgreSQL plans the statement anew each time. Making the JSON in the database was
 * tried: it costs twice the CPU.
 */
export function listSql(limit: number): string {
  return listOf({ page: `select conversation_id from conversation_recency ${newest(limit)}` });
}

/** `pattern`: SQL of what the words of the name are like. All matches are found by their trigrams and counted. */
export function listByNameSql({ pattern, limit }: { pattern: string; limit: number }): string {
  return listOf({
    // A subquery hides the pattern from the planner, which else takes one plan for each request to be worth its time.
    page: `
      select conversation_id, matches from (
        select c.last_message_at, c.id conversation_id, count(*) over () matches
        from contact p join conversation c on c.contact_id = p.id
        where p.name_words like (select ${pattern})) hit
      ${newest(limit)}`,
    matches: 'r.matches',
  });
}

/**
 * `tag`: SQL of its id. Conversations of a rare tag are all looked up and sorted; for a frequent one the order is walked
 * until the page is full. Both take equally long where the number of matches is the root of 21 times that of all; the
 * other one is not run. Subqueries that cannot become joins: a join would read all places where they are few.
 */
export function listByTagSql({ tag, limit }: { tag: string; limit: number }): string {
  return listOf({
    before: `
      with size as materialized (
        select count(*) matches, ${totalOf('conversations')} total from conversation_tag where tag_id = ${tag})`,
    page: `
      (select t.conversation_id
      from conversation_tag t
      cross join lateral (select last_message_at from conversation where id = t.conversation_id offset 0) k
      where t.tag_id = ${tag} and (select matches * matches <= ${limit} * total from size)
      ${newest(limit)})
      union all
      (select conversation_id from conversation_recency w
      where (select true from conversation_tag t where t.conversation_id = w.conversation_id and t.tag_id = ${tag})
        and (select matches * matches > ${limit} * total from size)
      ${newest(limit)})`,
    matches: '(select matches from size)',
  });
}

/** Those with unread messages stand in an index of their own, which has the order too. */
export function listUnreadSql(limit: number): string {
  const places = 'from conversation_recency where unread_count > 0';
  return listOf({
    page: `select conversation_id ${places} ${newest(limit)}`,
    matches: `(select count(*) ${places})`,
  });
}

const newest = (limit: number): string => `order by last_message_at desc, conversation_id desc limit ${limit}`;

const totalOf = (counter: string): string => `(select coalesce(sum(value), 0) from counter where name = '${counter}')`;

function listOf({ before = '', page, matches }: { before?: string; page: string; matches?: string }): string {
  return `${before}
  select c.id, c.created_at, c.state, c.unread_count, c.metadata, c.last_message_at,
    s.source_id, s.name, s.image_url,
    h.id, h.source_channel_id, h.name, h.image_url, h.connected, h.metadata,
    p.id, p.display_name, p.first_name, p.last_name, p.avatar_url, ${messageColumns},
    (select array_agg(t.id order by t.name, t.id) from conversation_tag ct join tag t on t.id = ct.tag_id
      where ct.conversation_id = c.id),
    ${totalOf('conversations')}, ${totalOf('unread_messages')}${matches ? `, ${matches}` : ''}
  from (${page}) r
  join conversation c on c.id = r.conversation_id
  join source s on s.id = c.source
  join channel h on h.id = c.channel_id
  left join contact p on p.id = c.contact_id
  left join message m on m.id = c.last_message_id
  order by c.last_message_at desc, c.id desc`;
}

/** A page of a conversation's messages, oldest first. `after`: SQL of the place (time, sequence) that it begins behind. */
export function messagesSql({ conversation, limit, after }: { conversation: string; limit: number; after?: string }) {
  return `
  select ${messageColumns}, m.sequence, c.message_count, c.id, s.source_id, s.name, s.image_url, p.display_name, p.avatar_url
  from conversation c
  join source s on s.id = c.source
  left join contact p on p.id = c.contact_id
  cross join lateral (
    select * from message m where m.conversation_id = c.id ${after ? `and (m.sent_at, m.sequence) > (${after})` : ''}
    order by m.sent_at, m.sequence limit ${limit}) m
  where c.id = ${conversation} order by m.sent_at, m.sequence`;
}

/** Takes a message of a user for delivery. $1 conversation, $2 id, $3 user, $4 content, $5 time. */
export const sendSql = `
  with moved as (
    update conversation c set next_sequence = c.next_sequence + 1, message_count = c.message_count + 1,
      last_message_id = case when c.last_message_at <= $5::timestamptz then $2::uuid else c.last_message_id end,
      last_message_at = greatest(c.last_message_at, $5::timestamptz), updated_at = now()
    from channel h where c.id = $1::uuid and h.id = c.channel_id and h.connected
    returning c.next_sequence - 1 sequence, c.source, c.channel_id, h.source_channel_id, c.source_conversation_id,
      c.created_at, old.last_message_at place, c.last_message_at),
  moved_place as (
    update conversation_recency r set last_message_at = m.last_message_at
    from moved m where r.last_message_at = m.place and r.conversation_id = $1::uuid),
  stored as (
    insert into message (id, conversation_id, source, sequence, from_contact, sender_type, sender_id, content,
      delivery_state, sent_at, created_at)
    select $2::uuid, $1::uuid, source, sequence, false, 'USER', $3, $4::jsonb, 'PENDING', $5::timestamptz, $5::timestamptz
    from moved),
  logged as (
    insert into event (conversation_id, kind, payload)
    select $1::uuid, 'message.created', jsonb_build_object('messageId', $2::text) from moved)
  select source, channel_id, source_channel_id, source_conversation_id, created_at from moved`;

/** Writes a delivery. $1 message, $2 its id at the source, $3 attempt, $4 url, $5 ms, $6 request, $7 answer. */
export const deliveredSql = `
  with settled as (
    update message set delivery_state = 'DELIVERED', source_message_id = $2,
      metadata = metadata || jsonb_build_object('source', jsonb_build_object('id', $2::text))
    where id = $1::uuid and delivery_state = 'PENDING' returning conversation_id, source),
  tried as (
    insert into delivery_attempt (id, source, conversation_id, message_id, attempt, url, status_code, duration_ms,
      request, response)
    select $3::uuid, source, conversation_id, $1::uuid, 1, $4, 200, $5, $6::jsonb, $7::jsonb from settled),
  logged as (
    insert into event (conversation_id, kind, payload)
    select conversation_id, 'message.updated', jsonb_build_object('messageId', $1::text) from settled)
  select 1 from settled`;
