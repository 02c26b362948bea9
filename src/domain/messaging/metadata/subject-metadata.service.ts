import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents, type DomainEvent, lockConversations } from '../../events.ts';
import { rows } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { largestChannelMetadata } from '../channels/channel.connect.service.ts';
import { isSameMetadata, type Metadata, mergeMetadata, reservedKeys } from './metadata.service.ts';

/** What people and the operator's systems may note facts of. */
export interface MetadataSubject {
  type: 'Conversation' | 'Message' | 'Channel';
  id: string;
}

const longestKey = 255;

/**
 * Notes a fact below `public`; null removes it. Dots in the key nest, and the last key of a subtree takes it along.
 *
 * @returns false when it was so already
 * @throws NotFound @throws InvalidInput a reserved or empty key, or too much
 */
export function setMetadata(
  ctx: Ctx,
  { subject, key, value }: { subject: MetadataSubject; key: string; value: unknown },
): Promise<boolean> {
  allow(ctx, 'setMetadata');
  const parts = key.split('.');
  if (!isOneLine(key, longestKey) || parts.some((part) => part.trim() === '')) {
    throw new InvalidInput('key', `must be 1 to ${longestKey} characters of one line, with names between the dots`);
  }
  if (reservedKeys.includes(parts[0]!)) {
    throw new InvalidInput(
      'key',
      `must not begin with a name that has a meaning of its own: ${reservedKeys.join(', ')}`,
    );
  }
  return change(ctx, subject, 'value', (before) => mergeMetadata(before, { [`public.${key}`]: value }));
}

/**
 * Merges facts of the operator's own systems below `user_data`: nested objects are merged, newer values replace, null
 * removes.
 *
 * @returns false when it was so already @throws NotFound @throws InvalidInput too much
 */
export function mergeUserData(
  ctx: Ctx,
  { subject, data }: { subject: MetadataSubject; data: Metadata },
): Promise<boolean> {
  allow(ctx, 'mergeUserData');
  return change(ctx, subject, 'data', (before) => mergeMetadata(before, { user_data: data }));
}

const mostSuggestions = 100;

/**
 * Puts replies that an agent may choose from in the place of those before.
 *
 * @param suggestions by id, each with a `content` @throws NotFound @throws InvalidInput
 */
export function suggestReplies(
  ctx: Ctx,
  { messageId, suggestions }: { messageId: string; suggestions: Metadata },
): Promise<boolean> {
  allow(ctx, 'suggestReplies');
  const given = Object.entries(suggestions);
  if (given.length > mostSuggestions) throw new InvalidInput('suggestions', `must be at most ${mostSuggestions}`);
  for (const [id, suggestion] of given) {
    if ((suggestion as Metadata | null)?.content == null) {
      throw new InvalidInput('suggestions', `must be objects with a content, ${JSON.stringify(id)} is none`);
    }
  }
  return change(ctx, { type: 'Message', id: messageId }, 'suggestions', (before) => ({ ...before, suggestions }));
}

async function change(
  ctx: Ctx,
  subject: MetadataSubject,
  path: string,
  work: (before: Metadata) => Metadata,
): Promise<boolean> {
  const { id } = subject;
  const kind = kinds[subject.type];
  return transaction(ctx, async (tx) => {
    const conversationId = await kind.lock(tx, id);
    const [found] = await rows<{ metadata: Metadata }>(tx.em, kind.read(id));
    if (!found) throw new NotFound(subject.type.toLowerCase(), id);
    const after = work(found.metadata);
    if (isSameMetadata(found.metadata, after)) return false;
    const oversized = oversizedJson(after, undefined, kind.largest);
    if (oversized) throw new InvalidInput(path, `together with what is stored, ${oversized}`);
    await rows(tx.em, kind.write(id, JSON.stringify(after)));
    await appendEvents(tx, [kind.event(id, conversationId)]);
    return true;
  });
}

interface SubjectKind {
  /** Takes the lock that its other writers take. @returns its conversation, where it has one */
  lock(tx: Tx, id: string): Promise<string | null>;
  read(id: string): RawBuilder<{ metadata: Metadata }>;
  write(id: string, json: string): RawBuilder<unknown>;
  event(id: string, conversationId: string | null): DomainEvent;
  largest?: number;
}

const kinds: Record<MetadataSubject['type'], SubjectKind> = {
  Conversation: {
    async lock(tx, id) {
      await lockConversations(tx, [id]);
      return id;
    },
    read: (id) => sql`select metadata from conversation where id = ${id}::uuid`,
    write: (id, json) =>
      sql`update conversation set metadata = ${json}::jsonb, updated_at = now() where id = ${id}::uuid`,
    event: (id) => ({ kind: 'conversation.updated', conversationId: id, payload: {} }),
  },
  Message: {
    async lock(tx, id) {
      const [found] = await rows<{ conversation_id: string }>(
        tx.em,
        sql`select conversation_id::text from message where id = ${id}::uuid`,
      );
      if (!found) throw new NotFound('message', id);
      await lockConversations(tx, [found.conversation_id]);
      return found.conversation_id;
    },
    read: (id) => sql`select metadata from message where id = ${id}::uuid`,
    write: (id, json) => sql`update message set metadata = ${json}::jsonb where id = ${id}::uuid`,
    event: (id, conversationId) => ({
      kind: 'message.updated',
      conversationId: conversationId!,
      payload: { messageId: id },
    }),
  },
  Channel: {
    lock: async () => null,
    read: (id) => sql`select metadata from channel where id = ${id}::uuid for update`,
    write: (id, json) => sql`update channel set metadata = ${json}::jsonb, updated_at = now() where id = ${id}::uuid`,
    event: (id) => ({ kind: 'channel.updated', conversationId: null, payload: { channelId: id } }),
    largest: largestChannelMetadata,
  },
};
