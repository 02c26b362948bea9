import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { allow, userIdOf } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, InvalidInput, NotFound } from '../../errors.ts';
import { isUuid, newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { encodeCursor, type Page, type PageRequest, pageWindow, toPage, unknownCursor } from '../../paging.ts';
import { epochMs, readRows, rows } from '../../statement.ts';
import { isOneLine } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { checkedDefinition, definitionSchema } from './definition.ts';
import { Flow, type FlowVersion } from './flow.entity.ts';
import type { FlowDefinition } from './steps.service.ts';

const longestName = 255;
const mostFlows = 1_000;

/** A definition is checked whole whenever it is saved, so a draft can always be published. */
export interface NewFlow {
  /** 1 to 255 characters of one line. */
  name: string;
  definition: unknown;
}

/** @throws InvalidInput name, or what is wrong with the definition and where */
export async function createFlow(ctx: Ctx, { name, definition }: NewFlow): Promise<Flow> {
  allow(ctx, 'createFlow');
  checkName(name);
  const draft = await checkedDefinition(definition, 'definition');
  return transaction(ctx, async (tx) => {
    await rows(tx.em, sql`select pg_advisory_xact_lock(13, 0)`);
    if ((await tx.em.count(Flow)) >= mostFlows) {
      throw new InvalidInput('name', `there are ${mostFlows} flows, no more are taken`);
    }
    const flow = tx.em.create(Flow, { id: newId(), name, draft, createdAt: tx.now(), updatedAt: tx.now() });
    await tx.em.flush();
    return flow;
  });
}

/** Changes the draft: journeys and published versions stay as they are. @throws NotFound @throws InvalidInput */
export async function updateFlow(
  ctx: Ctx,
  { flowId, name, definition }: { flowId: string; name?: string | null; definition?: unknown },
): Promise<Flow> {
  allow(ctx, 'updateFlow');
  if (name != null) checkName(name);
  const draft = definition == null ? undefined : await checkedDefinition(definition, 'definition');
  return transaction(ctx, async (tx) => {
    const flow = await lockedFlow(tx, flowId);
    if (name != null) flow.name = name;
    if (draft) flow.draft = draft;
    flow.updatedAt = tx.now();
    await tx.em.flush();
    return flow;
  });
}

/**
 * Makes the draft the version that new journeys take. Journeys that run keep theirs. The draft that is published already is
 * not published again.
 *
 * @throws NotFound
 */
export async function publishFlow(
  ctx: Ctx,
  { flowId }: { flowId: string },
): Promise<{ flow: Flow; version: FlowVersion }> {
  allow(ctx, 'publishFlow');
  return transaction(ctx, async (tx) => {
    const flow = await lockedFlow(tx, flowId);
    const [newest] = await readVersions(tx, { flowIds: [flowId], newest: 1 });
    const isKnown = newest && (await isDraftOf(tx, flow.id, newest.number));
    const version = isKnown ? newest : await addVersion(tx, flow, (newest?.number ?? 0) + 1);
    flow.publishedNumber = version.number;
    flow.updatedAt = tx.now();
    await tx.em.flush();
    return { flow, version };
  });
}

/** No new journeys; those that run go on. @throws NotFound */
export async function unpublishFlow(ctx: Ctx, { flowId }: { flowId: string }): Promise<Flow> {
  allow(ctx, 'unpublishFlow');
  return transaction(ctx, async (tx) => {
    const flow = await lockedFlow(tx, flowId);
    flow.publishedNumber = null;
    flow.updatedAt = tx.now();
    await tx.em.flush();
    return flow;
  });
}

/** Deletes a flow that no journey ever took. @throws NotFound @throws Conflict it has journeys: unpublish it instead */
export async function deleteFlow(ctx: Ctx, { flowId }: { flowId: string }): Promise<void> {
  allow(ctx, 'deleteFlow');
  await transaction(ctx, async (tx) => {
    const flow = await lockedFlow(tx, flowId);
    const taken = await rows(tx.em, sql`select 1 from journey where flow_id = ${flowId}::uuid limit 1`);
    if (taken.length > 0) throw new Conflict('this flow has journeys, which are kept: unpublish it instead');
    await rows(tx.em, sql`delete from flow_version where flow_id = ${flowId}::uuid`);
    tx.em.remove(flow);
    await tx.em.flush();
  });
}

/** All flows by page, the newest first. */
export async function listFlows(ctx: Ctx, request: PageRequest): Promise<Page<Flow> & { total(): Promise<number> }> {
  allow(ctx, 'flows');
  const window = pageWindow('flows', request);
  const { place } = window;
  const offset = place?.kind === 'offset' ? place.offset : 0;
  const id = place?.kind === 'id' ? place.id : place?.kind === 'key' ? String(place.key[0]) : undefined;
  if (place && id !== undefined && !isUuid(id)) throw unknownCursor(place.path);
  // Their ids rise with time.
  const beyond = window.backwards ? '$gt' : place?.kind === 'id' ? '$lte' : '$lt';
  const found = await ctx.em.find(
    Flow,
    { ...(id !== undefined && { id: { [beyond]: id } }) },
    { orderBy: { id: window.backwards ? 'asc' : 'desc' }, limit: window.limit + 1, offset },
  );
  const isInside =
    place?.kind === 'id' ? (await ctx.em.count(Flow, { id: { $gt: place.id } })) > 0 : id !== undefined || offset > 0;
  return { ...toPage(window, found, isInside), total: () => ctx.em.count(Flow) };
}

/** The opaque place of a flow in the list. */
export function flowCursor({ id }: Pick<Flow, 'id'>): string {
  return encodeCursor('flows', [id]);
}

/** Null for an unknown id. */
export async function findFlow(ctx: Ctx, flowId: string): Promise<Flow | null> {
  allow(ctx, 'flow');
  return ctx.em.findOne(Flow, { id: flowId });
}

/** In the order of `ids`, null for what is not there. */
export async function findFlows(ctx: Ctx, ids: readonly string[]): Promise<(Flow | null)[]> {
  allow(ctx, 'flow');
  return inOrderOf(ids, await ctx.em.find(Flow, { id: { $in: [...ids] } }));
}

const mostVersions = 100;

/** The versions of each of several flows, the newest first, at most 100; the caller has checked the rights. */
export async function listFlowVersions(ctx: Ctx, flowIds: readonly string[]): Promise<FlowVersion[][]> {
  const found = await readVersions(ctx, { flowIds, newest: mostVersions });
  const byFlow = Map.groupBy(found, ({ flowId }) => flowId);
  return flowIds.map((id) => byFlow.get(id) ?? []);
}

/** The version that new journeys of each of several flows take, null where none is published; the caller has checked the rights. */
export async function findPublishedVersions(ctx: Ctx, flowIds: readonly string[]): Promise<(FlowVersion | null)[]> {
  const found = await readVersions(ctx, { flowIds, newest: 'published' });
  return flowIds.map((id) => found.find(({ flowId }) => flowId === id) ?? null);
}

/** The JSON Schema of a definition, for editors. */
export function flowDefinitionSchema(ctx: Ctx): unknown {
  allow(ctx, 'flowDefinitionSchema');
  return definitionSchema();
}

async function lockedFlow(tx: Tx, flowId: string): Promise<Flow> {
  const flow = await tx.em.findOne(Flow, { id: flowId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!flow) throw new NotFound('flow', flowId);
  return flow;
}

async function isDraftOf(tx: Tx, flowId: string, number: number): Promise<boolean> {
  const same = await rows(
    tx.em,
    sql`select 1 from flow f join flow_version v on v.flow_id = f.id and v.number = ${number}::int
        where f.id = ${flowId}::uuid and f.draft = v.definition`,
  );
  return same.length > 0;
}

async function addVersion(tx: Tx, { id, draft }: Flow, number: number): Promise<FlowVersion> {
  const publishedById = userIdOf(tx);
  const publishedAt = tx.now();
  await rows(
    tx.em,
    sql`insert into flow_version (flow_id, number, definition, published_by, published_at)
        values (${id}::uuid, ${number}::int, ${JSON.stringify(draft)}::jsonb, ${publishedById}::uuid,
          ${publishedAt.toISOString()}::timestamptz)`,
  );
  return { flowId: id, number, definition: draft, publishedById, publishedAt };
}

interface VersionRow {
  flow_id: string;
  number: number;
  definition: FlowDefinition;
  published_by: string | null;
  published_at: number;
}

async function readVersions(
  ctx: Ctx,
  { flowIds, newest }: { flowIds: readonly string[]; newest: number | 'published' },
): Promise<FlowVersion[]> {
  const which =
    newest === 'published'
      ? sql`and number = (select published_number from flow where id = asked.id)`
      : sql`order by number desc limit ${sql.lit(newest)}`;
  const found = await readRows<VersionRow>(
    ctx,
    sql`select v.* from unnest(${[...flowIds]}::uuid[]) asked(id) cross join lateral (
          select flow_id::text, number, definition, published_by::text, ${sql.raw(epochMs('published_at'))} published_at
          from flow_version where flow_id = asked.id ${which}) v
        order by v.flow_id, v.number desc`,
  );
  return found.map((row) => ({
    flowId: row.flow_id,
    number: row.number,
    definition: row.definition,
    publishedById: row.published_by,
    publishedAt: new Date(row.published_at),
  }));
}

function checkName(name: string): void {
  if (!isOneLine(name, longestName)) {
    throw new InvalidInput('name', `must be 1 to ${longestName} characters of one line`);
  }
}
