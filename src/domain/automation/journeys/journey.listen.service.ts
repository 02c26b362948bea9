import { sql } from 'kysely';
import type { MessageListener } from '../../events.ts';
import { insertWakes } from '../../jobs.ts';
import { plainArray, textArray } from '../../statement.ts';
import { journeyLane } from './journey.service.ts';

/** The event that a wait for the contact's next message names. */
export const messageReceived = 'message.received';

/**
 * A message of a contact is an event of the journeys bound to its conversation, in the transaction that stores it. Their rows
 * are locked behind the conversation, so the events have the order of the messages. A journey that waits for something else
 * is not woken.
 */
export const hearMessages: MessageListener = (received) => {
  const payloads = received.map(({ messageId, conversationId, contactId, content, sentAt }) =>
    JSON.stringify({
      messageId,
      conversationId,
      contactId,
      text: textOf(content),
      content: fitting(content),
      sentAt: sentAt.toISOString(),
    }),
  );
  return sql`
    with received as (
      select * from unnest(${plainArray(received.map(({ conversationId }) => conversationId))}::uuid[],
        ${textArray(payloads)}::jsonb[], ${textArray(received.map(({ messageId }) => `message ${messageId}`))}::text[])
        with ordinality r(conversation_id, payload, dedupe_key, n)),
    told as (
      select conversation_id, payload, dedupe_key, row_number() over (partition by conversation_id order by n)::int - 1 n,
        count(*) over (partition by conversation_id)::int total
      from received),
    numbered as (
      update journey j set next_event = j.next_event + t.total
      from (select distinct conversation_id, total from told) t
      where j.conversation_id = t.conversation_id and j.status = 'ACTIVE'
      returning j.id, j.flow_id, j.conversation_id, j.next_event - t.total first,
        j.waiting is null or j.waiting #>> '{event,name}' = ${messageReceived} is_waiting),
    added as (
      insert into journey_event (journey_id, seq, name, payload, dedupe_key)
      select j.id, j.first + t.n, ${messageReceived}, t.payload, t.dedupe_key
      from numbered j join told t using (conversation_id) on conflict do nothing)
    ${insertWakes(sql`select ${journeyLane}, id, flow_id, now() from numbered where is_waiting order by id`)}`;
};

/** Together with the rest that a journey's scripts see it has to stay within what they may be given. */
const longestText = 16_384;
const largestContent = 32_768;

// What a person reads of it, where there is such a thing.
function textOf(content: unknown): string | null {
  const text = typeof content === 'object' && content !== null ? (content as { text?: unknown }).text : content;
  return typeof text === 'string' ? text.slice(0, longestText).toWellFormed() : null;
}

// The message itself has all of it.
function fitting(content: unknown): unknown {
  return Buffer.byteLength(JSON.stringify(content) ?? '') <= largestContent ? content : null;
}
