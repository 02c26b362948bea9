import type { Ctx } from '../../context.ts';
import { Tag } from './tag.entity.ts';

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findTags(ctx: Ctx, ids: readonly string[]): Promise<(Tag | null)[]> {
  const found = await ctx.em.find(Tag, { id: { $in: [...ids] } });
  const byId = new Map(found.map((tag) => [tag.id, tag]));
  return ids.map((id) => byId.get(id) ?? null);
}
