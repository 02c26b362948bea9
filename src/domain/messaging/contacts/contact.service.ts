import type { Ctx } from '../../context.ts';
import { inOrderOf } from '../../in-order.ts';
import { Contact } from './contact.entity.ts';

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findContacts(ctx: Ctx, ids: readonly string[]): Promise<(Contact | null)[]> {
  const found = await ctx.em.find(Contact, { id: { $in: [...ids] } });
  return inOrderOf(ids, found);
}
