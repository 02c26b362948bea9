import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { type CounterName, movedBy } from '../../counters.ts';
import { InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { rows } from '../../statement.ts';
import { isOneLine } from '../../text.ts';
import { transaction } from '../../transaction.ts';
import { Tag, type TagColor } from './tag.entity.ts';

export interface NewTag {
  name: string;
  color: TagColor;
}

const longestName = 255;
/** Lists show all of them at once. */
const mostTags = 1_000;

/** All tags by name. */
export async function listTags(ctx: Ctx): Promise<Tag[]> {
  allow(ctx, 'tags');
  return ctx.em.find(Tag, {}, { orderBy: { name: 'asc', id: 'asc' } });
}

/** @throws InvalidInput the name, or there are 1,000 already */
export async function createTag(ctx: Ctx, input: NewTag): Promise<Tag> {
  allow(ctx, 'createTag');
  checkName(input.name);
  return transaction(ctx, async (tx) => {
    // One at a time, so that two at once are counted.
    await rows(tx.em, sql`lock table tag in share row exclusive mode`);
    if ((await tx.em.count(Tag)) >= mostTags) {
      throw new InvalidInput('name', `there are ${mostTags} tags, no more are taken: delete one first`);
    }
    const tag = tx.em.create(Tag, { id: newId(), name: input.name, color: input.color, createdAt: tx.now() });
    await tx.em.flush();
    await appendEvents(tx, [tagEvent('tag.updated', tag.id)]);
    return tag;
  });
}

/** Changes what is given. @throws NotFound @throws InvalidInput the name */
export async function updateTag(
  ctx: Ctx,
  { id, name, color }: { id: string; name?: string | null; color?: TagColor | null },
): Promise<Tag> {
  allow(ctx, 'updateTag');
  if (name != null) checkName(name);
  return transaction(ctx, async (tx) => {
    const tag = await tx.em.findOne(Tag, { id });
    if (!tag) throw new NotFound('tag', id);
    const before = { name: tag.name, color: tag.color };
    tx.em.assign(tag, { name: name ?? tag.name, color: color ?? tag.color });
    if (tag.name === before.name && tag.color === before.color) return tag;
    await tx.em.flush();
    await appendEvents(tx, [tagEvent('tag.updated', id)]);
    return tag;
  });
}

const counterOf = (tagId: string): CounterName => `conversations_tag:${tagId}`;

/** Rows that one statement takes from conversations. */
const batch = 10_000;

/** Deletes a tag; all conversations lose it. @throws NotFound */
export async function deleteTag(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteTag');
  // Most of it beforehand: a tag on a million conversations takes longer than one statement may.
  for (let taken = batch; taken === batch; ) {
    const [gone] = await rows<{ count: number }>(
      ctx.em.fork(),
      sql`with gone as (
            delete from conversation_tag where ctid = any (array(
              select ctid from conversation_tag where tag_id = ${id}::uuid limit ${sql.lit(batch)})) returning 1),
          counted as (${movedBy(sql`(select ${counterOf(id)} name, -count(*) delta from gone) m`)})
          select count(*)::int count from gone`,
    );
    taken = gone!.count;
  }
  await transaction(ctx, async (tx) => {
    if ((await tx.em.nativeDelete(Tag, { id })) === 0) throw new NotFound('tag', id);
    await rows(tx.em, sql`delete from counter where name = ${counterOf(id)}`);
    await appendEvents(tx, [tagEvent('tag.deleted', id)]);
  });
}

function checkName(name: string): void {
  if (!isOneLine(name, longestName))
    throw new InvalidInput('name', `must be 1 to ${longestName} characters of one line`);
}

function tagEvent(kind: 'tag.updated' | 'tag.deleted', tagId: string) {
  return { kind, conversationId: null, payload: { tagId } } as const;
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findTags(ctx: Ctx, ids: readonly string[]): Promise<(Tag | null)[]> {
  const found = await ctx.em.find(Tag, { id: { $in: [...ids] } });
  return inOrderOf(ids, found);
}
