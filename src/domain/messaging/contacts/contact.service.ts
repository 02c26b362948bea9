import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { readRows } from '../../statement.ts';
import { type ContactColumns, contactColumns, type ShownContact, toContact } from './contact-rows.ts';

export {
  type ContactColumns,
  contactColumns,
  frequentContactColumns,
  type ShownContact,
  toContact,
} from './contact-rows.ts';

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findContacts(ctx: Ctx, ids: readonly string[]): Promise<(ShownContact | null)[]> {
  const found = await readRows(
    ctx,
    sql<ContactColumns>`select ${contactColumns} from contact p where p.id = any(${ids.filter(isUuid)}::uuid[])`,
  );
  return inOrderOf(
    ids,
    found.map((row) => toContact(row)!),
  );
}
