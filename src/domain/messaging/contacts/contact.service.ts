import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { readCounters } from '../../counters.ts';
import { InvalidInput } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import {
  encodeCursor,
  type Page,
  type PageRequest,
  type Place,
  pageWindow,
  toPage,
  unknownCursor,
} from '../../paging.ts';
import { readRows, rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import { Contact } from './contact.entity.ts';
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

/** Fields of a contact that lists of conversations do not show. In the order of `ids`; the caller has checked the rights. */
export async function findContactDetails(ctx: Ctx, ids: readonly string[]): Promise<(Contact | null)[]> {
  return inOrderOf(ids, await ctx.em.find(Contact, { id: { $in: [...ids] } }, { refresh: true }));
}

/** All contacts by page, the newest first. */
export async function listContacts(
  ctx: Ctx,
  request: PageRequest,
): Promise<Page<ShownContact> & { total(): Promise<number> }> {
  allow(ctx, 'contacts');
  const window = pageWindow('contacts', request);
  const { place } = window;
  // Their ids rise with time.
  const compare = window.backwards ? sql`>` : place?.kind === 'id' ? sql`<=` : sql`<`;
  const behind = place && place.kind !== 'offset' ? sql`p.id ${compare} ${contactPlace(place)}::uuid` : sql`true`;
  const direction = window.backwards ? sql`asc` : sql`desc`;
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const found = await readRows(
    ctx,
    sql<ContactColumns>`select ${contactColumns} from contact p where ${behind}
        order by p.id ${direction} limit ${sql.lit(window.limit + 1)} offset ${offset}::int`,
  );
  const isInside =
    place !== undefined && (place.kind === 'id' ? await hasNewer(ctx, place) : place.kind === 'key' || offset > 0);
  return {
    ...toPage(
      window,
      found.map((row) => toContact(row)!),
      isInside,
    ),
    total: async () => (await readCounters(ctx, ['contacts'])).contacts,
  };
}

/** Whether there are contacts before the one that a page begins with. */
async function hasNewer(ctx: Ctx, { id, path }: Extract<Place, { kind: 'id' }>): Promise<boolean> {
  const [probe] = await readRows<{ known: boolean; newer: boolean }>(
    ctx,
    sql`select exists (select 1 from contact where id = ${id}::uuid) known,
          exists (select 1 from contact where id > ${id}::uuid) newer`,
  );
  if (!probe?.known) throw unknownCursor(path);
  return probe.newer;
}

function contactPlace(place: Exclude<Place, { kind: 'offset' }>): string {
  const id = place.kind === 'id' ? place.id : place.key[0];
  if (typeof id !== 'string' || !isUuid(id)) throw unknownCursor(place.path);
  return id;
}

/** The opaque place of a contact in the list. */
export function contactCursor(contact: Pick<ShownContact, 'id'>): string {
  return encodeCursor('contacts', [contact.id]);
}

/** One contact, by its id or as that of a conversation; null where there is none. @throws InvalidInput neither given, or both */
export async function findContact(
  ctx: Ctx,
  { id, conversationId }: { id?: string | null; conversationId?: string | null },
): Promise<ShownContact | null> {
  allow(ctx, 'contact');
  if ((id == null) === (conversationId == null))
    throw new InvalidInput('id', 'give either the id of a contact or that of a conversation');
  const condition = id
    ? sql`p.id = ${id}::uuid`
    : sql`p.id = (select contact_id from conversation where id = ${conversationId}::uuid)`;
  const [found] = await readRows(ctx, sql<ContactColumns>`select ${contactColumns} from contact p where ${condition}`);
  return found ? toContact(found) : null;
}

/** Where a contact writes. */
export interface ConversationRef {
  /** The id that REST shows. */
  legacyId: string;
  /** The name of the source. */
  sourceId: string;
}

const mostRefs = 100;

/** The conversations of each of several contacts by id and source, the last active first; the caller has checked the rights. */
export async function findConversationRefs(ctx: Ctx, contactIds: readonly string[]): Promise<ConversationRef[][]> {
  const found = await readRows<{ contact_id: string; id: string; source_id: string }>(
    ctx,
    sql`select k.id::text contact_id, c.id::text, s.source_id from unnest(${[...contactIds]}::uuid[]) k(id)
        cross join lateral (
          select id, source, last_message_at from conversation c where c.contact_id = k.id
          order by c.last_message_at desc, c.id desc limit ${sql.lit(mostRefs)}) c
        join source s on s.id = c.source order by c.last_message_at desc, c.id desc`,
  );
  const byContact = new Map<string, ConversationRef[]>(contactIds.map((id) => [id, []]));
  for (const row of found) byContact.get(row.contact_id)?.push({ legacyId: row.id, sourceId: row.source_id });
  return contactIds.map((id) => byContact.get(id)!);
}

/** Those that hear when their contact changes: the last active ones. @param tx the caller locks them */
export async function conversationsOf(tx: Tx, contactId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    tx.em,
    sql`select id::text from conversation where contact_id = ${contactId}::uuid
        order by last_message_at desc, id desc limit ${sql.lit(mostRefs)}`,
  );
  return found.map(({ id }) => id);
}
