import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import { findUsers } from '../../accounts/users/user.service.ts';
import type { Ctx } from '../../context.ts';
import { moveCounters } from '../../counters.ts';
import { InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents, lockConversations } from '../../events.ts';
import { rows } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { conversationsOf } from '../contacts/contact.service.ts';
import { contactNaming, type Metadata, mergeMetadata } from '../metadata/metadata.service.ts';
import type { ConversationState } from './conversation.entity.ts';
import { getConversation, type LoadedConversation } from './conversation.service.ts';

export interface ConversationChange {
  conversation: LoadedConversation;
  /** False when it was so already. */
  changed: boolean;
}

interface Before {
  state: ConversationState;
  unread_count: number;
  contact_id: string | null;
  metadata: Metadata;
}

// Under the conversation's lock, with its event when something changed, and those of others that show the same.
async function change(
  ctx: Ctx,
  conversationId: string,
  work: (tx: Tx, before: Before) => Promise<boolean>,
  besides: (tx: Tx) => Promise<string[]> = async () => [],
): Promise<ConversationChange> {
  const changed = await transaction(ctx, async (tx) => {
    const others = (await besides(tx)).filter((id) => id !== conversationId);
    await lockConversations(tx, [conversationId, ...others]);
    const [before] = await rows<Before>(
      tx.em,
      sql`select state, unread_count, contact_id::text, metadata from conversation
          where id = ${conversationId}::uuid for no key update`,
    );
    if (!before) throw new NotFound('conversation', conversationId);
    if (!(await work(tx, before))) return false;
    await rows(tx.em, sql`update conversation set updated_at = now() where id = ${conversationId}::uuid`);
    await appendEvents(
      tx,
      [conversationId, ...others].map((id) => ({ kind: 'conversation.updated', conversationId: id, payload: {} })),
    );
    return true;
  });
  return { conversation: await getConversation(ctx, conversationId), changed };
}

async function touchesRows(tx: Tx, statement: RawBuilder<unknown>): Promise<boolean> {
  return (await rows(tx.em, statement)).length > 0;
}

/** Sets the unread count to 0 for all received up to now. @throws NotFound */
export function markRead(ctx: Ctx, { conversationId }: { conversationId: string }): Promise<ConversationChange> {
  allow(ctx, 'markConversationRead');
  return change(ctx, conversationId, async (tx, { unread_count: unread }) => {
    if (unread === 0) return false;
    await rows(
      tx.em,
      sql`with read as (
            update conversation set unread_count = 0 where id = ${conversationId}::uuid returning id, last_message_at)
          update conversation_recency r set unread_count = 0
          from read where r.last_message_at = read.last_message_at and r.conversation_id = read.id`,
    );
    await moveCounters(tx, { unread_conversations: -1, unread_messages: -unread });
    return true;
  });
}

/** @throws NotFound */
export function setState(
  ctx: Ctx,
  { conversationId, state }: { conversationId: string; state: ConversationState },
): Promise<ConversationChange> {
  allow(ctx, 'setConversationState');
  return change(ctx, conversationId, async (tx, { state: before }) => {
    if (state === before) return false;
    await rows(tx.em, sql`update conversation set state = ${state} where id = ${conversationId}::uuid`);
    // What is neither closed nor snoozed is open: that is not counted.
    const counted = [before, state].map((one) =>
      one === 'OPEN' ? undefined : (`conversations_state:${one}` as const),
    );
    await moveCounters(tx, { ...(counted[0] && { [counted[0]]: -1 }), ...(counted[1] && { [counted[1]]: 1 }) });
    return true;
  });
}

/** Gives it to a person, or with null to nobody. @throws NotFound conversation, or no such active person */
export async function assign(
  ctx: Ctx,
  { conversationId, userId }: { conversationId: string; userId: string | null },
): Promise<ConversationChange> {
  allow(ctx, 'assignConversation');
  if (userId !== null) {
    const [user] = await findUsers(ctx, [userId]);
    if (!user?.active) throw new NotFound('user', userId);
  }
  return change(ctx, conversationId, (tx) =>
    touchesRows(
      tx,
      sql`update conversation set assignee_id = ${userId}::uuid
          where id = ${conversationId}::uuid and assignee_id is distinct from ${userId}::uuid returning 1`,
    ),
  );
}

export interface ConversationAndTag {
  conversationId: string;
  tagId: string;
}

/** Of one conversation: lists show all of them. */
const mostTags = 100;

/** @throws NotFound conversation or tag @throws InvalidInput it has 100 already */
export function tag(ctx: Ctx, { conversationId, tagId }: ConversationAndTag): Promise<ConversationChange> {
  allow(ctx, 'tagConversation');
  return change(ctx, conversationId, async (tx) => {
    await needTag(tx, tagId);
    const [count] = await rows<{ others: number }>(
      tx.em,
      sql`select count(*)::int others from conversation_tag
          where conversation_id = ${conversationId}::uuid and tag_id <> ${tagId}::uuid`,
    );
    if (count!.others >= mostTags)
      throw new InvalidInput('tagId', `this conversation has ${mostTags} tags, no more are put on it`);
    const isNew = await touchesRows(
      tx,
      sql`insert into conversation_tag (conversation_id, tag_id) values (${conversationId}::uuid, ${tagId}::uuid)
          on conflict do nothing returning 1`,
    );
    if (isNew) await moveCounters(tx, { [`conversations_tag:${tagId}`]: 1 });
    return isNew;
  });
}

/** @throws NotFound conversation or tag */
export function untag(ctx: Ctx, { conversationId, tagId }: ConversationAndTag): Promise<ConversationChange> {
  allow(ctx, 'untagConversation');
  return change(ctx, conversationId, async (tx) => {
    await needTag(tx, tagId);
    const wasThere = await touchesRows(
      tx,
      sql`delete from conversation_tag
          where conversation_id = ${conversationId}::uuid and tag_id = ${tagId}::uuid returning 1`,
    );
    if (wasThere) await moveCounters(tx, { [`conversations_tag:${tagId}`]: -1 });
    return wasThere;
  });
}

// Kept until the commit: nobody deletes it meanwhile.
async function needTag(tx: Tx, tagId: string): Promise<void> {
  const isThere = await touchesRows(tx, sql`select 1 from tag where id = ${tagId}::uuid for key share`);
  if (!isThere) throw new NotFound('tag', tagId);
}

const longestName = 512;

/**
 * Names the contact of a conversation; where there is none yet the name is kept until there is. First and last name
 * are the parts around the last blank.
 *
 * @throws NotFound
 */
export function nameContact(
  ctx: Ctx,
  { conversationId, displayName }: { conversationId: string; displayName: string },
): Promise<ConversationChange> {
  allow(ctx, 'nameConversationContact');
  if (!isOneLine(displayName, longestName)) {
    throw new InvalidInput('displayName', `must be 1 to ${longestName} characters of one line`);
  }
  const contactsOwn = async (tx: Tx) => {
    const [found] = await rows<{ contact_id: string | null }>(
      tx.em,
      sql`select contact_id::text from conversation where id = ${conversationId}::uuid`,
    );
    return found?.contact_id ? conversationsOf(tx, found.contact_id) : [];
  };
  return change(
    ctx,
    conversationId,
    async (tx, { contact_id: contactId, metadata }) => {
      // In the metadata too: what a source says of the contact is merged with what stands there.
      const contact = { display_name: displayName, first_name: null, last_name: null };
      const after = mergeMetadata(metadata, { contact });
      const oversized = oversizedJson(after);
      if (oversized) throw new InvalidInput('displayName', `together with what is stored, ${oversized}`);
      const kept = await touchesRows(
        tx,
        sql`update conversation set metadata = ${JSON.stringify(after)}::jsonb
          where id = ${conversationId}::uuid and metadata <> ${JSON.stringify(after)}::jsonb returning 1`,
      );
      if (!contactId) return kept;
      const { firstName, lastName } = contactNaming({ contact })!;
      const named = await touchesRows(
        tx,
        sql`update contact set display_name = ${displayName}, first_name = ${firstName ?? null}, last_name = ${lastName ?? null}
          where id = ${contactId}::uuid and display_name is distinct from ${displayName} returning 1`,
      );
      return kept || named;
    },
    contactsOwn,
  );
}

/** Loads the contact's profile again through the connector of its source; a source without one has nothing to load. */
export async function refetchContact(
  ctx: Ctx,
  { conversationId }: { conversationId: string },
): Promise<ConversationChange> {
  allow(ctx, 'refetchConversationContact');
  return { conversation: await getConversation(ctx, conversationId), changed: false };
}
