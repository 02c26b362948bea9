import type { Ctx } from '../../context.ts';
import { inOrderOf } from '../../in-order.ts';
import { Tag } from './tag.entity.ts';

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findTags(ctx: Ctx, ids: readonly string[]): Promise<(Tag | null)[]> {
  const found = await ctx.em.find(Tag, { id: { $in: [...ids] } });
  return inOrderOf(ids, found);
}
