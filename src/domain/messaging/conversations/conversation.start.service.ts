import { sql } from 'kysely';
import { moveCounters } from '../../counters.ts';
import { Forbidden, InvalidInput } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { sourceThingId } from '../../ids.ts';
import { rows } from '../../statement.ts';
import { isStorableText } from '../../text.ts';
import type { Tx } from '../../transaction.ts';
import { lockForResults, takeWaitingMetadata } from '../metadata/waiting-metadata.service.ts';

/** Whom a first message goes to, where no conversation exists yet. */
export interface Recipient {
  channelId: string;
  /** The source's id of whom it is for. */
  sourceRecipientId: string;
  /** The contact of a conversation that is begun; left out where the first message from there tells it. */
  contactId?: string;
}

const longestId = 512;

/**
 * The conversation with a recipient, begun if it is not there yet: its id on the source's side is the recipient's, so
 * that what is answered there lands in it, with what waited for it. Takes its lock; the caller has checked the rights.
 *
 * @throws Forbidden unknown or disconnected channel @throws InvalidInput the recipient
 */
export async function conversationWith(
  tx: Tx,
  { channelId, sourceRecipientId, contactId }: Recipient,
): Promise<string> {
  const isFit = sourceRecipientId !== '' && sourceRecipientId.length <= longestId && isStorableText(sourceRecipientId);
  if (!isFit) throw new InvalidInput('recipient.sourceRecipientId', `must be 1 to ${longestId} characters`);
  const [channel] = await rows<{ source: string; source_name: string }>(
    tx.em,
    sql`select s.id::text source, s.source_id source_name from channel h join source s on s.id = h.source
        where h.id = ${channelId}::uuid and h.connected`,
  );
  if (!channel) throw new Forbidden('this channel is unknown or disconnected');
  const id = sourceThingId(channel.source_name, sourceRecipientId);
  await rows(tx.em, lockForResults([channel.source], [id]));
  const [known] = await rows<{ source: string; channel_id: string }>(
    tx.em,
    sql`select source::text, channel_id::text from conversation where id = ${id}::uuid`,
  );
  if (!known) await begin(tx, { id, channelId, source: channel.source, sourceRecipientId, contactId });
  else if (known.source !== channel.source || known.channel_id !== channelId) {
    const fault = `is known in the channel ${known.channel_id}, not in this one`;
    throw new InvalidInput('recipient.sourceRecipientId', fault);
  }
  return id;
}

async function begin(tx: Tx, begun: Recipient & { id: string; source: string }): Promise<void> {
  const now = tx.now().toISOString();
  const subject = { source: begun.source, namespace: 'conversation', subjectId: begun.sourceRecipientId } as const;
  const metadata = (await takeWaitingMetadata(tx, subject)) ?? {};
  await rows(
    tx.em,
    sql`with made as (
          insert into conversation (id, source, source_conversation_id, channel_id, contact_id, metadata, last_message_at, created_at)
          values (${begun.id}::uuid, ${begun.source}::uuid, ${begun.sourceRecipientId}, ${begun.channelId}::uuid,
            ${begun.contactId ?? null}::uuid, ${JSON.stringify(metadata)}::jsonb, ${now}::timestamptz, ${now}::timestamptz)
          returning id, last_message_at)
        insert into conversation_recency (last_message_at, conversation_id, unread_count)
        select last_message_at, id, 0 from made`,
  );
  await moveCounters(tx, {
    conversations: 1,
    [`conversations_channel:${begun.channelId}`]: 1,
    [`conversations_source:${begun.source}`]: 1,
  });
  await appendEvents(tx, [{ kind: 'conversation.created', conversationId: begun.id, payload: {} }]);
}
