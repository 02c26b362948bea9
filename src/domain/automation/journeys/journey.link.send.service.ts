import { sql } from 'kysely';
import { allow, linkOf } from '../../access.ts';
import { type Ctx, createCtx } from '../../context.ts';
import { Conflict, type Fault, Forbidden, InvalidInput, RateLimited } from '../../errors.ts';
import { isUuid, sourceThingId } from '../../ids.ts';
import { findMessages, type LoadedMessage } from '../../messaging/messages/message.service.ts';
import { ingest } from '../../messaging/sources/ingest.service.ts';
import { perCore } from '../../per-core.ts';
import { epochMs, readRows } from '../../statement.ts';
import { isStorableText } from '../../text.ts';

const longestText = 4_000;
/** So many of one conversation within `windowMs`: whoever has the link must not fill the table. */
const mostInWindow = 30;
const windowMs = 60_000;
/** Conversations with sends of late, from which on those that are quiet again are forgotten. */
const mostRemembered = 1_000;

export interface LinkedMessage {
  /** A UUID that the client chooses: the same one again is the same message. */
  id: string;
  text: string;
}

/**
 * Stores a message of the contact in the conversation of the caller's link, as its source would have: journeys and inboxes
 * hear of it in the same way. First write wins on a repeated id, which counts as nothing.
 *
 * @throws InvalidInput @throws RateLimited from the 31st message within a minute @throws Conflict the id is another
 * message's @throws Forbidden the channel is disconnected
 */
export async function sendLinkedMessage(ctx: Ctx, input: LinkedMessage): Promise<LoadedMessage> {
  allow(ctx, 'sendLinkedMessage');
  const { conversationId } = linkOf(ctx);
  const id = input.id.toLowerCase();
  checkMessage({ id, text: input.text });
  const place = await placeOf(ctx, conversationId);
  const sourceMessageId = `${linkMark}${id}`;
  const [known] = await findMessages(ctx, [sourceThingId(place.source_name, sourceMessageId)]);
  if (known) return ownMessage(known, conversationId);
  if (!place.connected) throw new Forbidden(takesNone);

  countSend(ctx, conversationId, place.sent);
  const principal = { kind: 'source', sourceId: place.source, sourceName: place.source_name } as const;
  const asSource = createCtx(ctx.core, { principal, requestId: ctx.requestId, address: ctx.address });
  const message = {
    sourceMessageId,
    sourceConversationId: place.source_conversation_id,
    sourceChannelId: place.source_channel_id,
    sourceSenderId: place.sender_id ?? place.source_conversation_id,
    content: { text: input.text },
    fromContact: true,
    sentAt: ctx.now(),
  };
  const [item] = await ingest(asSource, { messages: [message], metadata: [] }).catch((error: unknown) => {
    // What was looked at before was changed meanwhile; the fault names things of the source.
    throw error instanceof InvalidInput ? new Forbidden(takesNone) : error;
  });
  const [stored] = await findMessages(ctx, [item!.id]);
  return ownMessage(stored, conversationId);
}

const linkMark = 'link ';
const takesNone = 'this conversation takes no messages any more';

function checkMessage({ id, text }: LinkedMessage): void {
  const faults: Fault[] = [];
  if (!isUuid(id)) faults.push({ path: 'id', message: 'must be a UUID' });
  if (text.trim() === '' || text.length > longestText || !isStorableText(text)) {
    faults.push({ path: 'text', message: `must be 1 to ${longestText} characters, not only blanks` });
  }
  if (faults.length > 0) throw new InvalidInput(faults);
}

// Ids are unique in a source, not in a conversation: one that was used elsewhere must show nothing of there.
function ownMessage(message: LoadedMessage | null | undefined, conversationId: string): LoadedMessage {
  if (message?.conversationId === conversationId && message.fromContact) return message;
  throw new Conflict('this id is taken by another message: choose a new one');
}

interface Place {
  source: string;
  source_name: string;
  source_conversation_id: string;
  source_channel_id: string;
  connected: boolean;
  /** What the source calls the contact; null where it has not been seen there. */
  sender_id: string | null;
  /** When messages of the link were stored within the window, in epoch milliseconds, oldest first. */
  sent: number[];
}

async function placeOf(ctx: Ctx, conversationId: string): Promise<Place> {
  const since = new Date(ctx.now().getTime() - windowMs).toISOString();
  const [place] = await readRows<Place>(
    ctx,
    sql`select c.source::text, s.source_id source_name, c.source_conversation_id, h.source_channel_id, h.connected,
          (select i.sender_id from contact_identity i where i.source = c.source and i.contact_id = c.contact_id
            order by i.sender_id limit 1) sender_id,
          array(select ${sql.raw(epochMs('m.sent_at'))} from message m
            where m.conversation_id = c.id and m.sent_at > ${since}::timestamptz and m.from_contact
              and starts_with(m.source_message_id, ${linkMark}) order by m.sent_at) sent
        from conversation c join source s on s.id = c.source join channel h on h.id = c.channel_id
        where c.id = ${conversationId}::uuid`,
  );
  return place!;
}

/** By conversation, when this process took a message of its link: those that are being stored stand in no row yet. */
const takenOf = perCore(() => new Map<string, number[]>());

// The rows say what all processes took, what is remembered says what runs beside this call.
function countSend(ctx: Ctx, conversationId: string, stored: readonly number[]): void {
  const taken = takenOf(ctx.core);
  const now = ctx.now().getTime();
  const recent = (times: readonly number[]) => times.filter((time) => time > now - windowMs);
  if (taken.size > mostRemembered) {
    for (const [id, times] of taken) if (recent(times).length === 0) taken.delete(id);
  }
  const own = recent(taken.get(conversationId) ?? []);
  for (const times of [own, stored]) {
    if (times.length < mostInWindow) continue;
    const waitMs = times.at(-mostInWindow)! + windowMs - now;
    throw new RateLimited('too many messages, wait before the next one', Math.max(waitMs, 1_000), mostInWindow);
  }
  taken.set(conversationId, [...own, now]);
}
