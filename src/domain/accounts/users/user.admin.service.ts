import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx, Role } from '../../context.ts';
import { Conflict, NotFound } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import {
  encodeCursor,
  instantOfKey,
  type Page,
  type PageRequest,
  type Place,
  pageWindow,
  toPage,
  unknownCursor,
} from '../../paging.ts';
import { rows } from '../../statement.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { UserAccount } from './user.entity.ts';
import { forgetStanding, revokeTokens } from './user.service.ts';

export interface UserChange {
  user: UserAccount;
  /** False when it was so already. */
  changed: boolean;
}

/** All people who are active, by page, the oldest account first. */
export async function listUsers(
  ctx: Ctx,
  request: PageRequest,
): Promise<Page<UserAccount> & { total(): Promise<number> }> {
  allow(ctx, 'users');
  const window = pageWindow('users', request);
  const { place } = window;
  const key = place && place.kind !== 'offset' ? await userPlace(ctx, place) : undefined;
  const [beyond, own] = window.backwards ? ['$lt', '$lt'] : ['$gt', place?.kind === 'id' ? '$gte' : '$gt'];
  const direction = window.backwards ? 'desc' : 'asc';
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const found = await ctx.em.find(
    UserAccount,
    {
      active: true,
      ...(key && { $or: [{ createdAt: { [beyond!]: key.at } }, { createdAt: key.at, id: { [own!]: key.id } }] }),
    },
    { orderBy: { createdAt: direction, id: direction }, limit: window.limit + 1, offset },
  );
  const isInside = key && place?.kind === 'id' ? await hasOlder(ctx, key) : key !== undefined || offset > 0;
  return { ...toPage(window, found, isInside), total: () => ctx.em.count(UserAccount, { active: true }) };
}

/** Whether there are people before the one that a page begins with. */
async function hasOlder(ctx: Ctx, { at, id }: { at: Date; id: string }): Promise<boolean> {
  const before = { active: true, $or: [{ createdAt: { $lt: at } }, { createdAt: at, id: { $lt: id } }] };
  return (await ctx.em.count(UserAccount, before)) > 0;
}

async function userPlace(ctx: Ctx, place: Exclude<Place, { kind: 'offset' }>): Promise<{ at: Date; id: string }> {
  if (place.kind === 'id') {
    const user = await ctx.em.findOne(UserAccount, { id: place.id, active: true });
    if (!user) throw unknownCursor(place.path);
    return { at: user.createdAt, id: user.id };
  }
  const [at, id] = place.key;
  if (typeof id !== 'string' || !isUuid(id)) throw unknownCursor(place.path);
  return { at: instantOfKey(at, place.path), id };
}

/** The opaque place of a person in the list. */
export function userCursor(user: UserAccount): string {
  return encodeCursor('users', [user.createdAt.getTime(), user.id]);
}

/** Their tokens end, as they carry rights they may not have any more. @throws NotFound @throws Conflict the last ADMIN */
export function setUserRole(ctx: Ctx, { userId, role }: { userId: string; role: Role }): Promise<UserChange> {
  allow(ctx, 'setUserRole');
  return change(ctx, userId, { role });
}

/** Who is not active cannot sign in; their tokens end. @throws NotFound @throws Conflict the last ADMIN */
export function setUserActive(ctx: Ctx, { userId, active }: { userId: string; active: boolean }): Promise<UserChange> {
  allow(ctx, 'setUserActive');
  return change(ctx, userId, { active });
}

async function change(ctx: Ctx, userId: string, to: { role: Role } | { active: boolean }): Promise<UserChange> {
  const result = await transaction(ctx, async (tx) => {
    // One at a time: of two administrators who take each other's rights one is left.
    await rows(tx.em, sql`select 1 from installation for update`);
    const user = await tx.em.findOne(UserAccount, { id: userId });
    if (!user) throw new NotFound('user', userId);
    const changed = Object.entries(to).some(([name, value]) => user[name as 'role'] !== value);
    if (!changed) return { user, changed };
    tx.em.assign(user, to);
    await tx.em.flush();
    await needAdmin(tx);
    await revokeTokens(tx, userId);
    return { user, changed };
  });
  forgetStanding(ctx.core, userId);
  return result;
}

async function needAdmin(tx: Tx): Promise<void> {
  if ((await tx.em.count(UserAccount, { role: 'ADMIN', active: true })) === 0) {
    throw new Conflict('this is the last administrator: make another one first');
  }
}
