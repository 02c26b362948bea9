import type { Ctx } from '../../context.ts';
import { Contact } from './contact.entity.ts';

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findContacts(ctx: Ctx, ids: readonly string[]): Promise<(Contact | null)[]> {
  const found = await ctx.em.find(Contact, { id: { $in: [...ids] } });
  const byId = new Map(found.map((contact) => [contact.id, contact]));
  return ids.map((id) => byId.get(id) ?? null);
}
