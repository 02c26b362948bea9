import { type RawBuilder, sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { newId } from '../../ids.ts';
import { wakeLanes } from '../../jobs.ts';
import { changeListeners } from '../../messaging/conversations/conversation.open.service.ts';
import { lockForResults } from '../../messaging/metadata/waiting-metadata.service.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { Overtaken, type Tx, transaction } from '../../transaction.ts';
import { type Identifier, normalIdentifier } from './identifier.ts';
import { linkToken } from './journey-link.ts';
import { closeJourney, type Journey, readJourneys } from './journey-rows.ts';

/** The lane of a journey: due when it has something to do, or when its wait ends. */
export const journeyLane = 'journey';
const mostIdentifiers = 20;
const mostUnconsumed = 1_000;

export interface NewJourney {
  flowId: string;
  /** Stands under `session.start`: an object of at most 64 KiB. */
  start?: unknown;
  /** Whom it is about; that of the conversation where left out. */
  contactId?: string | null;
  /** Its messages of the contact are events of the journey. */
  conversationId?: string | null;
  /** What it can be found by, beside its id. */
  identifiers?: readonly Identifier[] | null;
}

/**
 * Starts a journey of the published version of a flow. Its first steps run soon after the answer.
 *
 * @throws NotFound flow, contact or conversation @throws Conflict the flow is not published @throws InvalidInput
 */
export async function startJourney(ctx: Ctx, input: NewJourney): Promise<Journey> {
  allow(ctx, 'startJourney');
  const identifiers = await checked(input);
  return transaction(ctx, (tx) => begin(tx, input, identifiers));
}

async function checked({ start, identifiers }: NewJourney): Promise<Identifier[]> {
  const faults: Fault[] = [];
  const unfit = unfitObject(start);
  if (unfit) faults.push({ path: 'start', message: unfit });
  const given = identifiers ?? [];
  if (given.length > mostIdentifiers)
    faults.push({ path: 'identifiers', message: `must be at most ${mostIdentifiers}` });
  for (const [index, { type }] of given.entries()) {
    if (type === 'JOURNEY_ID') {
      faults.push({
        path: `identifiers[${index}].type`,
        message: 'a journey has its own id already: give TEXT or PHONE',
      });
    }
  }
  if (faults.length > 0) throw new InvalidInput(faults);
  return Promise.all(given.map((one, index) => normalIdentifier(one, `identifiers[${index}].value`)));
}

function unfitObject(value: unknown): string | undefined {
  if (value == null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) return 'must be an object';
  return oversizedJson(value);
}

async function begin(tx: Tx, input: NewJourney, identifiers: readonly Identifier[]): Promise<Journey> {
  const { flowId } = input;
  const conversationId = input.conversationId ?? null;
  if (conversationId !== null) {
    await rows(tx.em, lockForResults([], [conversationId]));
    if (!(await changeListeners(tx, conversationId, 1))) throw new NotFound('conversation', conversationId);
  }
  const contactId = input.contactId ?? null;
  const found =
    contactId === null || (await rows(tx.em, sql`select 1 from contact where id = ${contactId}::uuid`)).length > 0;
  if (!found) throw new NotFound('contact', contactId!);
  const id = newId();
  const made = await rows(
    tx.em,
    sql`insert into journey (id, flow_id, flow_number, step_id, start, contact_id, conversation_id, link_hash)
        select ${id}::uuid, f.id, v.number, v.definition ->> 'start', ${JSON.stringify(input.start ?? {})}::jsonb,
          ${contactId}::uuid, ${conversationId}::uuid, ${sha256Hex(linkToken(tx.core.settings, id))}
        from flow f join flow_version v on v.flow_id = f.id and v.number = f.published_number
        where f.id = ${flowId}::uuid for key share of f returning 1`,
  );
  if (made.length === 0) {
    const known = await rows(tx.em, sql`select 1 from flow where id = ${flowId}::uuid`);
    throw known.length > 0
      ? new Conflict('this flow is not published: publish it first')
      : new NotFound('flow', flowId);
  }
  if (identifiers.length > 0) {
    await rows(
      tx.em,
      sql`insert into journey_identifier (journey_id, flow_id, type, value)
          select ${id}::uuid, ${flowId}::uuid, type, value
          from unnest(${identifiers.map(({ type }) => type)}::text[], ${identifiers.map(({ value }) => value)}::text[]) i(type, value)
          on conflict do nothing`,
    );
  }
  await wakeLanes(tx, [{ kind: journeyLane, id, group: flowId }]);
  await appendEvents(tx, [{ kind: 'journey.updated', conversationId: null, payload: { journeyId: id } }]);
  return (await readJourneys(tx, sql`where j.id = ${id}::uuid`))[0]!;
}

/** A journey by its id, or the newest active one of a flow that has an identifier. */
export type JourneyMatch = { journeyId: string } | { flowId: string; identifier: Identifier };

export interface NewJourneyEvent {
  match: JourneyMatch;
  /** The name that a wait names. */
  name: string;
  /** Stands under `event` for the wait that takes it: any JSON value of at most 64 KiB. */
  payload?: unknown;
  /** The same key again is the same event: nothing is added. */
  dedupeKey?: string | null;
}

/**
 * Hands an event to a journey. Whether a wait takes it is seen by the journey's progress.
 *
 * @throws NotFound no journey, or no active one with that identifier @throws Conflict it has ended, or 1,000 events of
 * that name wait
 * @throws InvalidInput
 */
export async function deliverJourneyEvent(ctx: Ctx, input: NewJourneyEvent): Promise<Journey> {
  allow(ctx, 'deliverJourneyEvent');
  const { name, payload, dedupeKey } = input;
  const faults: Fault[] = [];
  if (!isOneLine(name, 255)) faults.push({ path: 'name', message: 'must be 1 to 255 characters of one line' });
  if (dedupeKey != null && !isOneLine(dedupeKey, 255)) {
    faults.push({ path: 'dedupeKey', message: 'must be 1 to 255 characters of one line' });
  }
  const unfit = oversizedJson(payload ?? null);
  if (unfit) faults.push({ path: 'payload', message: unfit });
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    const match = await normalMatch(input.match);
    const told = dedupeKey == null ? undefined : await alreadyTold(tx, match, dedupeKey);
    if (told) return told;
    const journey = await matchedJourney(tx, match);
    await addEvent(tx, journey.id, { name, payload, dedupeKey });
    return journey;
  });
}

/** With its identifier in the form in which it is compared. @throws InvalidInput */
async function normalMatch(match: JourneyMatch): Promise<JourneyMatch> {
  if ('journeyId' in match) return match;
  return { ...match, identifier: await normalIdentifier(match.identifier, 'identifier.value') };
}

// Whatever became of it since: a caller that asks again must not tell another journey what this one was told.
async function alreadyTold(tx: Tx, match: JourneyMatch, dedupeKey: string): Promise<Journey | undefined> {
  const among =
    'journeyId' in match
      ? sql`select ${match.journeyId}::uuid`
      : match.identifier.type === 'JOURNEY_ID'
        ? sql`select ${match.identifier.value}::uuid`
        : sql`select journey_id from journey_identifier
            where flow_id = ${match.flowId}::uuid and type = ${match.identifier.type} and value = ${match.identifier.value}`;
  const [told] = await readJourneys(
    tx,
    sql`where j.id in (select journey_id from journey_event where journey_id in (${among}) and dedupe_key = ${dedupeKey})
        order by j.id desc limit 1`,
  );
  return told;
}

/** @throws NotFound */
async function matchedJourney(tx: Tx, match: JourneyMatch): Promise<Journey> {
  if ('journeyId' in match) {
    const [journey] = await readJourneys(tx, sql`where j.id = ${match.journeyId}::uuid`);
    if (!journey) throw new NotFound('journey', match.journeyId);
    return journey;
  }
  const { type, value } = match.identifier;
  const id: RawBuilder<unknown> =
    type === 'JOURNEY_ID'
      ? sql`${value}::uuid`
      : sql`(select journey_id from journey_identifier
            where flow_id = ${match.flowId}::uuid and type = ${type} and value = ${value} and active
            order by journey_id desc limit 1)`;
  const [journey] = await readJourneys(
    tx,
    sql`where j.id = ${id} and j.flow_id = ${match.flowId}::uuid and j.status = 'ACTIVE'`,
  );
  if (!journey) throw new NotFound('active journey', value);
  return journey;
}

// The row lock gives the events their order; an advance that runs beside it is not disturbed, as it does not count events.
async function addEvent(
  tx: Tx,
  journeyId: string,
  { name, payload, dedupeKey }: Omit<NewJourneyEvent, 'match'>,
): Promise<void> {
  const [locked] = await rows<{ flow_id: string }>(
    tx.em,
    sql`select flow_id::text from journey where id = ${journeyId}::uuid and status = 'ACTIVE' for no key update`,
  );
  if (!locked) throw new Conflict('this journey has ended');
  // A statement of its own: it sees what was committed while the lock was waited for.
  const [row] = await rows<{ waiting: number; known: boolean }>(
    tx.em,
    sql`select (select count(*)::int from journey_event where journey_id = ${journeyId}::uuid and consumed_at is null and name = ${name}) waiting,
          exists (select 1 from journey_event where journey_id = ${journeyId}::uuid and dedupe_key = ${dedupeKey ?? null}) known`,
  );
  if (row!.known) return;
  if (row!.waiting >= mostUnconsumed)
    throw new Conflict(`${mostUnconsumed} events of this name wait for this journey already`);
  await rows(
    tx.em,
    sql`with numbered as (
          update journey set next_event = next_event + 1 where id = ${journeyId}::uuid returning next_event - 1 seq)
        insert into journey_event (journey_id, seq, name, payload, dedupe_key)
        select ${journeyId}::uuid, seq, ${name}, ${JSON.stringify(payload ?? null)}::jsonb, ${dedupeKey ?? null} from numbered`,
  );
  await wakeLanes(tx, [{ kind: journeyLane, id: journeyId, group: locked.flow_id }]);
}

/** Ends a journey that runs; one that has ended stays as it is. Its timers are void. @throws NotFound */
export async function abortJourney(
  ctx: Ctx,
  { journeyId, reason }: { journeyId: string; reason?: string | null },
): Promise<{ journey: Journey; changed: boolean }> {
  allow(ctx, 'abortJourney');
  if (reason != null && !isOneLine(reason, 1_024)) {
    throw new InvalidInput('reason', 'must be 1 to 1024 characters of one line');
  }
  return transaction(ctx, async (tx) => {
    const changed = await endJourney(tx, journeyId, reason ?? null);
    const [journey] = await readJourneys(tx, sql`where j.id = ${journeyId}::uuid`);
    if (!journey) throw new NotFound('journey', journeyId);
    return { journey, changed };
  });
}

/**
 * Ends an active journey from outside; beside `advanceJourney` nothing else writes a status. What an advance computes at the
 * same time does not hold any more, as the version has moved.
 *
 * @returns false when it was not active
 */
async function endJourney(tx: Tx, journeyId: string, reason: string | null): Promise<boolean> {
  const [place] = await rows<{ conversation_id: string | null }>(
    tx.em,
    sql`select conversation_id::text from journey where id = ${journeyId}::uuid`,
  );
  const conversationId = place?.conversation_id ?? null;
  if (conversationId !== null) await rows(tx.em, lockForResults([], [conversationId]));
  const [ended] = await rows<{ flow_id: string; conversation_id: string | null }>(
    tx.em,
    sql`update journey set status = 'ABORTED', reason = ${reason}, waiting = null, wake_at = null,
          version = version + 1, updated_at = now(), ended_at = now()
        where id = ${journeyId}::uuid and status = 'ACTIVE' and conversation_id is not distinct from ${conversationId}::uuid
        returning flow_id::text, conversation_id::text`,
  );
  if (!ended) {
    const isActive = await rows(tx.em, sql`select 1 from journey where id = ${journeyId}::uuid and status = 'ACTIVE'`);
    if (isActive.length > 0) throw new Overtaken('the journey was bound to another conversation meanwhile');
    return false;
  }
  await closeJourney(tx, journeyId);
  if (conversationId !== null) await changeListeners(tx, conversationId, -1);
  // It finds nothing to do and goes, with its timer.
  await wakeLanes(tx, [{ kind: journeyLane, id: journeyId, group: ended.flow_id }]);
  await appendEvents(tx, [{ kind: 'journey.updated', conversationId: null, payload: { journeyId } }]);
  return true;
}
