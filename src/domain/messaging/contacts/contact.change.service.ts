import { LockMode } from '@mikro-orm/core';
import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { moveCounters } from '../../counters.ts';
import { type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents, lockConversations } from '../../events.ts';
import { newId } from '../../ids.ts';
import { rows } from '../../statement.ts';
import { isOneLine, isWebAddress } from '../../text.ts';
import { Overtaken, type Tx, transaction } from '../../transaction.ts';
import { contactNaming } from '../metadata/metadata.service.ts';
import { sourceLocks } from '../metadata/waiting-metadata.service.ts';
import { Contact } from './contact.entity.ts';
import { conversationsOf } from './contact.service.ts';

const textFields = ['displayName', 'firstName', 'lastName', 'title', 'gender', 'locale', 'organizationName'] as const;

/** What can be told of a contact. Left out: stays as it is; null or an empty text: removed. */
export interface ContactFields extends Partial<Record<(typeof textFields)[number], string | null>> {
  avatarUrl?: string | null;
  /** Hours from UTC. */
  timezone?: number | null;
  /** Ids elsewhere by kind; merged by kind. */
  via?: Record<string, string | null> | null;
  /** Merged by part. */
  address?: Record<string, string | null> | null;
  /** Conversations that are this contact's, and whose senders are. */
  conversationIds?: readonly string[] | null;
}

const longestText = 512;
const mostVia = 50;
const mostConversations = 1_000;
const mostImported = 1_000;
/** From Baker Island to the Line Islands. */
const timezones = { least: -12, most: 14 };

/** @throws InvalidInput nothing given, or a field */
export async function createContact(ctx: Ctx, fields: ContactFields): Promise<Contact> {
  allow(ctx, 'createContact');
  check(fields, { isNew: true });
  return transaction(ctx, async (tx) => {
    await lockLinks(tx, [{ fields, path: '' }]);
    const contact = insert(tx, fields);
    await tx.em.flush();
    await linkConversations(tx, [{ contact, fields }]);
    await moveCounters(tx, { contacts: 1 });
    return contact;
  });
}

/** Makes all of them or none. @throws InvalidInput too many, or what is wrong with which */
export async function importContacts(ctx: Ctx, given: readonly ContactFields[]): Promise<Contact[]> {
  allow(ctx, 'importContacts');
  if (given.length > mostImported) throw new InvalidInput('contacts', `must be at most ${mostImported}`);
  const parts = given.map((fields, index) => ({ fields, path: `contacts[${index}].` }));
  const faults = parts.flatMap(({ fields, path }) => faultsOf(fields, path, { isNew: true }));
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    await lockLinks(tx, parts);
    const made = given.map((fields) => ({ contact: insert(tx, fields), fields }));
    await tx.em.flush();
    await linkConversations(tx, made);
    await moveCounters(tx, { contacts: made.length });
    return made.map(({ contact }) => contact);
  });
}

/** Changes the given fields. @throws NotFound @throws InvalidInput */
export async function updateContact(
  ctx: Ctx,
  { contactId, ...fields }: ContactFields & { contactId: string },
): Promise<Contact> {
  allow(ctx, 'updateContact');
  check(fields, { isNew: false });
  return transaction(ctx, async (tx) => {
    const own = await conversationsOf(tx, contactId);
    await lockLinks(tx, [{ fields, path: '' }], own);
    const contact = await tx.em.findOne(Contact, { id: contactId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!contact) throw new NotFound('contact', contactId);
    assign(contact, fields);
    await tx.em.flush();
    await linkConversations(tx, [{ contact, fields }]);
    await tellChanged(tx, own);
    return contact;
  });
}

function insert(tx: Tx, fields: ContactFields): Contact {
  const contact = tx.em.create(Contact, {
    id: newId(),
    createdAt: tx.now(),
    displayName: null,
    firstName: null,
    lastName: null,
    avatarUrl: null,
    externalId: null,
    title: null,
    gender: null,
    timezone: null,
    locale: null,
    organizationName: null,
    via: {},
    address: {},
    metadata: {},
  });
  assign(contact, fields);
  return contact;
}

function assign(contact: Contact, fields: ContactFields): void {
  for (const name of textFields) {
    if (fields[name] !== undefined) contact[name] = fields[name] || null;
  }
  if (fields.avatarUrl !== undefined) contact.avatarUrl = fields.avatarUrl || null;
  if (fields.timezone !== undefined) contact.timezone = fields.timezone;
  if (fields.via) contact.via = merged(contact.via, fields.via);
  if (Object.keys(contact.via).length > mostVia) throw new InvalidInput('via', `must have at most ${mostVia} keys`);
  if (fields.address) contact.address = merged(contact.address, fields.address);
  nameWhole(contact, fields);
}

// Whoever gives one form of the name means the other one too.
function nameWhole(contact: Contact, { displayName, firstName, lastName }: ContactFields): void {
  if (displayName && firstName === undefined && lastName === undefined) {
    const naming = contactNaming({ contact: { display_name: displayName } });
    contact.firstName = naming?.firstName ?? null;
    contact.lastName = naming?.lastName ?? null;
  }
  if (displayName === undefined && (firstName !== undefined || lastName !== undefined)) {
    contact.displayName = [contact.firstName, contact.lastName].filter(Boolean).join(' ') || null;
  }
}

function merged(before: Record<string, string>, given: Record<string, string | null>): Record<string, string> {
  const kept = Object.entries({ ...before, ...given }).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(kept);
}

function check(fields: ContactFields, how: { isNew: boolean }): void {
  const faults = faultsOf(fields, '', how);
  if (faults.length > 0) throw new InvalidInput(faults);
}

function faultsOf(fields: ContactFields, path: string, { isNew }: { isNew: boolean }): Fault[] {
  const faults: Fault[] = [];
  const fault = (name: string, message: string) => faults.push({ path: `${path}${name}`, message });
  const saysSomething = Object.values(fields).some((value) =>
    typeof value === 'object' ? Object.keys(value ?? {}).length > 0 : value !== undefined && value !== '',
  );
  if (isNew && !saysSomething) {
    faults.push({ path: path.replace(/\.$/, ''), message: 'must tell something of the contact, such as display_name' });
  }
  const oneLine = `must be at most ${longestText} characters of one line`;
  for (const name of textFields) {
    if (fields[name] && !isOneLine(fields[name], longestText)) fault(name, oneLine);
  }
  if (fields.avatarUrl && !isWebAddress(fields.avatarUrl)) {
    fault('avatarUrl', 'must be an absolute http or https address');
  }
  const { timezone } = fields;
  if (timezone != null && (timezone < timezones.least || timezone > timezones.most)) {
    fault('timezone', `must be hours from UTC, ${timezones.least} to ${timezones.most}`);
  }
  for (const name of ['via', 'address'] as const) {
    const entries = Object.entries(fields[name] ?? {});
    if (entries.length > mostVia) fault(name, `must have at most ${mostVia} keys`);
    for (const [key, value] of entries) {
      const isFit =
        isOneLine(key, longestText) && (!value || (typeof value === 'string' && isOneLine(value, longestText)));
      if (!isFit) fault(`${name}.${key.slice(0, 50).toWellFormed()}`, oneLine);
    }
  }
  if ((fields.conversationIds?.length ?? 0) > mostConversations) {
    fault('conversations', `must be at most ${mostConversations}`);
  }
  return faults;
}

interface Part {
  fields: ContactFields;
  path: string;
}

// First statement of a change that links: an ingest has these locks before it touches a contact, too.
async function lockLinks(tx: Tx, parts: readonly Part[], others: readonly string[] = []): Promise<void> {
  const links = parts.flatMap(({ fields, path }) =>
    (fields.conversationIds ?? []).map((conversationId) => ({ conversationId, path })),
  );
  if (links.length === 0) {
    if (others.length > 0) await lockConversations(tx, [...others]);
    return;
  }
  const found = await rows<{ id: string; source: string }>(
    tx.em,
    sql`select id::text, source::text from conversation
        where id = any(${links.map(({ conversationId }) => conversationId)}::uuid[])`,
  );
  const known = new Set(found.map(({ id }) => id));
  const unknown = links.filter(({ conversationId }) => !known.has(conversationId));
  if (unknown.length > 0) {
    throw new InvalidInput(
      unknown.map(({ conversationId, path }) => ({
        path: `${path}conversations.${conversationId}`,
        message: 'must be the id of a conversation',
      })),
    );
  }
  await rows(
    tx.em,
    locksAlone(
      found.map(({ source }) => source),
      [...known, ...others],
    ),
  );
}

// Alone with the sources: no ingest is about to use a contact of theirs.
function locksAlone(sources: readonly string[], conversationIds: readonly string[]): RawBuilder<unknown> {
  return sourceLocks(new Map(sources.map((source) => [source, true])), conversationIds);
}

interface Linking {
  contact: Contact;
  fields: ContactFields;
}

// A conversation that is given to a contact takes along who writes in it: what they say next is the contact's too.
// Where several people write to the source as the one contact of before, it is not known which of them it was.
async function linkConversations(tx: Tx, linkings: readonly Linking[]): Promise<void> {
  const links = linkings.flatMap(({ contact, fields }) =>
    (fields.conversationIds ?? []).map((conversationId) => ({ conversationId, contactId: contact.id })),
  );
  if (links.length === 0) return;
  const ids = links.map(({ conversationId }) => conversationId);
  const pairs = sql`unnest(${ids}::uuid[], ${links.map(({ contactId }) => contactId)}::uuid[]) l(id, contact_id)`;
  await rows(
    tx.em,
    sql`update contact_identity i set contact_id = l.contact_id from ${pairs} join conversation c on c.id = l.id
        where i.source = c.source and i.contact_id = c.contact_id and i.contact_id <> l.contact_id
          and ((select count(*) from contact_identity j where j.contact_id = i.contact_id and j.source = i.source) = 1
            or not exists (select 1 from conversation o
              where o.contact_id = i.contact_id and o.source = i.source and o.id <> all(${ids}::uuid[])))`,
  );
  const moved = await rows<{ id: string }>(
    tx.em,
    sql`update conversation c set contact_id = l.contact_id, updated_at = now() from ${pairs}
        where c.id = l.id and c.contact_id is distinct from l.contact_id returning c.id::text`,
  );
  await tellChanged(
    tx,
    moved.map(({ id }) => id),
  );
}

/** Deletes a contact. Its conversations stay, without one until who writes in them writes again. @throws NotFound */
export async function deleteContact(ctx: Ctx, { contactId }: { contactId: string }): Promise<void> {
  allow(ctx, 'deleteContact');
  await transaction(ctx, async (tx) => {
    const before = await placesOf(tx, contactId);
    await rows(
      tx.em,
      locksAlone(
        before.map(({ source }) => source),
        before.flatMap(({ id }) => id ?? []),
      ),
    );
    const contact = await tx.em.findOne(Contact, { id: contactId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!contact) throw new NotFound('contact', contactId);
    const locked = new Set(before.map(placeKey));
    if ((await placesOf(tx, contactId)).some((place) => !locked.has(placeKey(place)))) {
      throw new Overtaken('a conversation came to the contact meanwhile');
    }
    // Its name goes too: else the next contact of the conversation would get it.
    const freed = await rows<{ id: string }>(
      tx.em,
      sql`update conversation set contact_id = null, metadata = metadata - 'contact', updated_at = now()
          where contact_id = ${contactId}::uuid returning id::text`,
    );
    await rows(tx.em, sql`delete from contact_identity where contact_id = ${contactId}::uuid`);
    await tx.em.nativeDelete(Contact, { id: contactId });
    await moveCounters(tx, { contacts: -1 });
    await tellChanged(
      tx,
      freed.map(({ id }) => id),
    );
  });
}

interface ContactPlace {
  source: string;
  /** A conversation; null for an identity. */
  id: string | null;
}

const placeKey = ({ source, id }: ContactPlace): string => `${source} ${id}`;

function placesOf(tx: Tx, contactId: string): Promise<ContactPlace[]> {
  return rows(
    tx.em,
    sql`select source::text, id::text from conversation where contact_id = ${contactId}::uuid
        union all select source::text, null from contact_identity where contact_id = ${contactId}::uuid`,
  );
}

async function tellChanged(tx: Tx, conversationIds: readonly string[]): Promise<void> {
  await appendEvents(
    tx,
    conversationIds.map((conversationId) => ({ kind: 'conversation.updated', conversationId, payload: {} })),
  );
}
