import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { Forbidden, InvalidInput, NotFound } from '../../errors.ts';
import { sourceThingId } from '../../ids.ts';
import { readRows, rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import { conversationWith } from './conversation.start.service.ts';

/** Where a contact is written to in a channel: a conversation that is there, or the one that is begun. */
export interface ContactPlace {
  conversationId: string;
  channelId: string;
  contactId: string;
  source: string;
  /** Null where the conversation is there already. */
  sourceRecipientId: string | null;
}

/**
 * The last active conversation of a contact in a channel, or the one that would be begun with it. Only looks; the caller
 * has checked the rights.
 *
 * @throws NotFound the contact @throws Forbidden unknown or disconnected channel
 * @throws InvalidInput the contact is not known to the source of the channel
 */
export async function placeOfContact(
  ctx: Ctx,
  { contactId, channelId }: { contactId: string; channelId: string },
): Promise<ContactPlace> {
  const [found] = await readRows<{
    source: string | null;
    source_name: string;
    conversation_id: string | null;
    sender_id: string | null;
  }>(
    ctx,
    sql`select h.source::text, s.source_id source_name,
          (select c.id::text from conversation c where c.contact_id = p.id and c.channel_id = h.id
            order by c.last_message_at desc, c.id desc limit 1) conversation_id,
          (select i.sender_id from contact_identity i where i.contact_id = p.id and i.source = h.source limit 1) sender_id
        from contact p
        left join channel h on h.id = ${channelId}::uuid and h.connected
        left join source s on s.id = h.source
        where p.id = ${contactId}::uuid`,
  );
  if (!found) throw new NotFound('contact', contactId);
  const { source, conversation_id: known, sender_id: sender } = found;
  if (source === null) throw new Forbidden('this channel is unknown or disconnected');
  if (known !== null) return { conversationId: known, channelId, contactId, source, sourceRecipientId: null };
  if (sender === null) throw new InvalidInput('contact', `the source ${found.source_name} does not know this contact`);
  const conversationId = sourceThingId(found.source_name, sender);
  return { conversationId, channelId, contactId, source, sourceRecipientId: sender };
}

/** Begins the conversation of a place where it is not there yet. @throws InvalidInput its id is known in another channel */
export async function openConversation(tx: Tx, place: ContactPlace): Promise<void> {
  const { sourceRecipientId, channelId, contactId } = place;
  if (sourceRecipientId !== null) await conversationWith(tx, { channelId, sourceRecipientId, contactId });
}

/**
 * Says that somebody wants to hear of a conversation's messages in the transaction that stores them, or no longer (-1). The
 * caller holds the conversation's lock. @returns false for an unknown conversation
 */
export async function changeListeners(tx: Tx, conversationId: string, by: 1 | -1): Promise<boolean> {
  const changed = await rows(
    tx.em,
    sql`update conversation set listeners = listeners + ${sql.lit(by)} where id = ${conversationId}::uuid returning 1`,
  );
  return changed.length > 0;
}
