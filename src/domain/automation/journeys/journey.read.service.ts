import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { InvalidInput } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { encodeCursor, type Page, type PageRequest, pageWindow, toPage, unknownCursor } from '../../paging.ts';
import { epochMs, readRows } from '../../statement.ts';
import type { Identifier } from './identifier.ts';
import { linkToken } from './journey-link.ts';
import { type Journey, type JourneyStatus, readJourneys } from './journey-rows.ts';

export type { Identifier } from './identifier.ts';
export type { IdentifierType, Journey, JourneyStatus } from './journey-rows.ts';

/** Journeys by page, the newest first. */
export async function listJourneys(
  ctx: Ctx,
  { flowId, status, ...request }: PageRequest & { flowId?: string | null; status?: JourneyStatus | null },
): Promise<Page<Journey>> {
  allow(ctx, 'journeys');
  const window = pageWindow('journeys', request);
  const { place } = window;
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const id = place?.kind === 'id' ? place.id : place?.kind === 'key' ? String(place.key[0]) : undefined;
  if (place && id !== undefined && !isUuid(id)) throw unknownCursor(place.path);
  const compare = window.backwards ? sql`>` : place?.kind === 'id' ? sql`<=` : sql`<`;
  const wanted = sql`${flowId == null ? sql`true` : sql`j.flow_id = ${flowId}::uuid`}
    and ${status == null ? sql`true` : sql`j.status = ${status}`}`;
  const found = await readJourneys(
    ctx,
    sql`where ${wanted} and ${id === undefined ? sql`true` : sql`j.id ${compare} ${id}::uuid`}
        order by j.id ${window.backwards ? sql`asc` : sql`desc`} limit ${sql.lit(window.limit + 1)} offset ${offset}::int`,
  );
  const isInside =
    place?.kind === 'id'
      ? (await readRows(ctx, sql`select 1 from journey j where ${wanted} and j.id > ${id!}::uuid limit 1`)).length > 0
      : id !== undefined || offset > 0;
  return toPage(window, found, isInside);
}

/** The opaque place of a journey in the list. */
export function journeyCursor({ id }: Pick<Journey, 'id'>): string {
  return encodeCursor('journeys', [id]);
}

/** Null for an unknown id. */
export async function findJourney(ctx: Ctx, journeyId: string): Promise<Journey | null> {
  const [journey] = await findJourneys(ctx, [journeyId]);
  return journey ?? null;
}

/** In the order of `ids`, null for what is not there. */
export async function findJourneys(ctx: Ctx, ids: readonly string[]): Promise<(Journey | null)[]> {
  allow(ctx, 'journey');
  return inOrderOf(ids, await readJourneys(ctx, sql`where j.id = any(${[...ids]}::uuid[])`));
}

/** What a journey was told. */
export interface JourneyEvent {
  /** From 1, in their order. */
  sequence: number;
  name: string;
  payload: unknown;
  createdAt: Date;
  /** When a wait took it, or passed over it; null: a later wait may take it. */
  consumedAt: Date | null;
}

interface EventRow {
  journey_id: string;
  seq: number;
  name: string;
  payload: unknown;
  created_at: number;
  consumed_at: number | null;
}

/** The last events of each of several journeys, oldest first; the caller has checked the rights. @param last 1 to 100 */
export async function listJourneyEvents(ctx: Ctx, ids: readonly string[], last: number): Promise<JourneyEvent[][]> {
  if (!(last >= 1 && last <= 100)) throw new InvalidInput('last', 'must be 1 to 100');
  const found = await readRows<EventRow>(
    ctx,
    sql`select e.* from unnest(${[...ids]}::uuid[]) j(id) cross join lateral (
          select journey_id::text, seq, name, payload, ${sql.raw(epochMs('created_at'))} created_at,
            ${sql.raw(epochMs('consumed_at'))} consumed_at
          from journey_event where journey_id = j.id order by seq desc limit ${last}::int) e
        order by e.seq`,
  );
  const byJourney = Map.groupBy(found, ({ journey_id }) => journey_id);
  return ids.map((id) =>
    (byJourney.get(id) ?? []).map((row) => ({
      sequence: row.seq,
      name: row.name,
      payload: row.payload,
      createdAt: new Date(row.created_at),
      consumedAt: row.consumed_at === null ? null : new Date(row.consumed_at),
    })),
  );
}

/** What each of several journeys can be found by, beside its id; the caller has checked the rights. */
export async function listJourneyIdentifiers(ctx: Ctx, ids: readonly string[]): Promise<Identifier[][]> {
  const found = await readRows<Identifier & { journey_id: string }>(
    ctx,
    sql`select journey_id::text, type, value from journey_identifier where journey_id = any(${[...ids]}::uuid[])
        order by type, value`,
  );
  const byJourney = Map.groupBy(found, ({ journey_id }) => journey_id);
  return ids.map((id) => (byJourney.get(id) ?? []).map(({ type, value }) => ({ type, value })));
}

/** The address of a journey's page, for whoever has it; null without a conversation, which is all that it shows. */
export function journeyLink(ctx: Ctx, { id, conversationId }: Journey): string | null {
  const { settings } = ctx.core;
  return conversationId === null ? null : `${settings.publicUrl}/j/${linkToken(settings, id)}`;
}
