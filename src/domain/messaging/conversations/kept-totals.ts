import type { KeptCheck } from '../../kept-check.ts';

const truth = `
  select 'contacts' name, count(*) value from contact
  union all select 'conversations', count(*) from conversation
  union all select 'conversations_channel:' || channel_id, count(*) from conversation group by channel_id
  union all select 'conversations_source:' || source, count(*) from conversation group by source
  union all select 'conversations_state:' || state, count(*) from conversation where state <> 'OPEN' group by state
  union all select 'conversations_tag:' || tag_id, count(*) from conversation_tag group by tag_id
  union all select 'unread_conversations', count(*) from conversation where unread_count > 0
  union all select 'unread_messages', coalesce(sum(unread_count), 0) from conversation`;
const wrongTotals = `
  select name, coalesce(k.value, 0) kept, coalesce(t.value, 0) counted
  from (${truth}) t full join (select name, sum(value) value from counter group by name) k using (name)
  where coalesce(k.value, 0) <> coalesce(t.value, 0)`;

const wrongPlaces = `
  select coalesce(c.id, r.conversation_id) id
  from conversation c full join conversation_recency r on r.conversation_id = c.id
  where c.id is null or r.conversation_id is null
    or (c.last_message_at, c.unread_count) <> (r.last_message_at, r.unread_count)
  union
  select conversation_id from conversation_recency group by conversation_id having count(*) > 1`;

/** What lists of conversations rely on. @see `parley doctor` */
export const keptChecks: KeptCheck[] = [
  {
    name: 'totals',
    faults: `select name || ': kept ' || kept || ', counted ' || counted what from (${wrongTotals}) w order by name`,
    // It waits for the transactions that have moved a total, and those that have not wait for it.
    lock: 'lock table counter in exclusive mode',
    mend: [
      `insert into counter (name, slot, value) select name, 0, counted - kept from (${wrongTotals}) w
        on conflict (name, slot) do update set value = counter.value + excluded.value`,
    ],
  },
  {
    name: 'the order of the inbox',
    faults: `select 'conversation ' || id what from (${wrongPlaces}) w order by id`,
    lock: 'lock table conversation, conversation_recency in exclusive mode',
    mend: [
      `create temporary table misplaced on commit drop as ${wrongPlaces}`,
      'delete from conversation_recency where conversation_id in (select id from misplaced)',
      `insert into conversation_recency (last_message_at, conversation_id, unread_count)
        select last_message_at, id, unread_count from conversation where id in (select id from misplaced)`,
    ],
  },
];
