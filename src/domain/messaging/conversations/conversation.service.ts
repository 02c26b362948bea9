import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { NotFound } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import {
  conversationsOfIds,
  type LoadedConversation,
  readConversationRows,
  toConversations,
} from './conversation-rows.ts';

export { fieldsOfAllColumns, type LoadedConversation } from './conversation-rows.ts';

/** @returns null for an unknown id */
export async function findConversation(ctx: Ctx, id: string): Promise<LoadedConversation | null> {
  allow(ctx, 'conversation');
  const [found] = await findConversations(ctx, [id]);
  return found ?? null;
}

/** @throws NotFound */
export async function getConversation(ctx: Ctx, id: string): Promise<LoadedConversation> {
  const found = await findConversation(ctx, id);
  if (!found) throw new NotFound('conversation', id);
  return found;
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findConversations(ctx: Ctx, ids: readonly string[]): Promise<(LoadedConversation | null)[]> {
  const found = await readConversationRows(ctx, { from: conversationsOfIds(ids.filter(isUuid)) });
  return inOrderOf(ids, await toConversations(ctx, found));
}
