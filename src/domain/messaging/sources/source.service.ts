import { randomBytes, randomUUID } from 'node:crypto';
import { LockMode } from '@mikro-orm/core';
import { type RawBuilder, sql } from 'kysely';
import { allow, may } from '../../access.ts';
import { signToken, verifyToken } from '../../accounts/users/token.service.ts';
import type { Core, Ctx, Principal, Settings } from '../../context.ts';
import { Conflict, type Fault, Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { isUuid, newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { decryptSecret, encryptSecret } from '../../secrets.ts';
import { cachedFor } from '../../short-cache.ts';
import { rows } from '../../statement.ts';
import { isWebAddress } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { DeliveryAttempt } from './delivery-attempt.entity.ts';
import { Source } from './source.entity.ts';

export interface SourceFields {
  name?: string | null;
  imageUrl?: string | null;
  actionEndpoint?: string | null;
}

/** The secrets are told here only: when they are made. */
export interface SourceWithSecrets {
  source: Source;
  /** Authenticates the source and signs `X-Airy-Content-Signature`. */
  token: string;
  /** Key of the Standard Webhooks headers. */
  signingSecret: string;
}

const longestSourceId = 255;
const longestName = 255;
/** After a rotation both secrets sign for this long. */
const secretOverlapMs = 86_400_000;

/**
 * Makes a source. The name of a deleted one may be taken again: it gets its conversations back, with new secrets.
 *
 * @throws Conflict "Source already exists"
 */
export async function createSource(ctx: Ctx, input: SourceFields & { sourceId: string }): Promise<SourceWithSecrets> {
  allow(ctx, 'createSource');
  await checkFields(ctx, input, input.sourceId);
  const created = await transaction(ctx, async (tx) => {
    const existing = await tx.em.findOne(Source, { sourceId: input.sourceId }, forUpdate);
    if (existing && !existing.deletedAt) throw sourceExists();
    const id = existing?.id ?? newId();
    const secrets = newSecrets(ctx.core, id);
    const fields = {
      ...secrets.stored,
      previousSigningSecretEncrypted: null,
      previousSigningSecretUntil: null,
      name: input.name ?? null,
      imageUrl: input.imageUrl ?? null,
      actionEndpoint: input.actionEndpoint ?? null,
      reachable: true,
      lastError: null,
      deletedAt: null,
    };
    const source = existing
      ? tx.em.assign(existing, fields)
      : tx.em.create(Source, { id, sourceId: input.sourceId, createdAt: tx.now(), ...fields });
    await flushUnique(tx);
    return { source, ...secrets.told };
  });
  forgetSource(ctx.core, created.source.id);
  names.forget(ctx.core, 'all');
  return created;
}

// Two at once with one name: the unique index decides.
async function flushUnique(tx: Tx): Promise<void> {
  try {
    await tx.em.flush();
  } catch (error) {
    if ((error as { code?: string }).code === '23505') throw sourceExists();
    throw error;
  }
}

function sourceExists(): Conflict {
  return new Conflict('Source already exists');
}

/** Changes the given fields: a missing one stays, null clears. @throws NotFound */
export async function updateSource(ctx: Ctx, input: SourceFields & { sourceId: string }): Promise<Source> {
  allow(ctx, 'updateSource');
  await checkFields(ctx, input);
  const updated = await transaction(ctx, async (tx) => {
    const source = await getLiveSource(tx, input.sourceId);
    if (input.name !== undefined) source.name = input.name;
    if (input.imageUrl !== undefined) source.imageUrl = input.imageUrl;
    if (input.actionEndpoint !== undefined) {
      source.actionEndpoint = input.actionEndpoint;
      source.reachable = true;
      source.lastError = null;
    }
    await tx.em.flush();
    return source;
  });
  forgetSource(ctx.core, updated.id);
  return updated;
}

/**
 * Takes a source's rights: its token dies for good, its channels are disconnected, its conversations stay readable.
 * An unknown name changes nothing.
 */
export async function deleteSource(ctx: Ctx, input: { sourceId: string }): Promise<{ sourceId: string }> {
  allow(ctx, 'deleteSource');
  const deleted = await transaction(ctx, async (tx) => {
    const source = await tx.em.findOne(Source, { sourceId: input.sourceId, deletedAt: null }, forUpdate);
    if (!source) return undefined;
    source.deletedAt = tx.now();
    source.tokenId = randomUUID();
    source.actionEndpoint = null;
    await tx.em.flush();
    const channels = await rows<{ id: string }>(
      tx.em,
      sql`update channel set connected = false, updated_at = now()
          where source = ${source.id}::uuid and connected returning id`,
    );
    await rows(
      tx.em,
      sql`delete from channel_credentials where channel_id in (select id from channel where source = ${source.id}::uuid)`,
    );
    await appendEvents(
      tx,
      channels.map(({ id }) => ({ kind: 'channel.updated', conversationId: null, payload: { channelId: id } })),
    );
    return source.id;
  });
  if (deleted) forgetSource(ctx.core, deleted);
  return input;
}

/** Makes a new token and signing secret. The old token ends at once; the old secret signs beside the new one for a day. */
export async function rotateSourceToken(ctx: Ctx, input: { sourceId: string }): Promise<SourceWithSecrets> {
  allow(ctx, 'rotateSourceToken');
  const rotated = await transaction(ctx, async (tx) => {
    const source = await getLiveSource(tx, input.sourceId);
    const secrets = newSecrets(ctx.core, source.id);
    tx.em.assign(source, {
      previousSigningSecretEncrypted: source.signingSecretEncrypted,
      previousSigningSecretUntil: new Date(tx.now().getTime() + secretOverlapMs),
      ...secrets.stored,
    });
    await tx.em.flush();
    return { source, ...secrets.told };
  });
  forgetSource(ctx.core, rotated.source.id);
  return rotated;
}

/** All sources in the order of their making. Agents see id and name. */
export async function listSources(ctx: Ctx): Promise<Source[]> {
  allow(ctx, 'sources');
  return ctx.em.find(Source, { deletedAt: null }, { orderBy: { createdAt: 'asc', id: 'asc' } });
}

export async function findSource(ctx: Ctx, sourceId: string): Promise<Source | null> {
  allow(ctx, 'source');
  return ctx.em.findOne(Source, { sourceId, deletedAt: null });
}

/** Lists and deliveries ask for their sources each time. */
const kept = cachedFor<Source | null>(1_000);

/** After the commit of a change: this process reads the source anew. */
function forgetSource(core: Core, id: string): void {
  kept.forget(core, id);
  standings.forget(core, id);
}

export type SourceName = Pick<Source, 'id' | 'sourceId'>;

const names = cachedFor<SourceName[]>(1_000);

/** Of all sources, deleted ones too, whose conversations stay; a second old at most. The caller has checked the rights. */
export function sourceNames({ core }: Pick<Ctx, 'core'>): Promise<SourceName[]> {
  return names.get(core, 'all', () =>
    core.em.fork().find(Source, {}, { fields: ['sourceId'], orderBy: { id: 'asc' } }),
  );
}

/** In the order of `ids`, null for what is not there; a second old at most. The caller has checked the rights. */
export function findSourcesById({ core }: Pick<Ctx, 'core'>, ids: readonly string[]): Promise<(Source | null)[]> {
  return kept.getAll(core, ids, async (missing) =>
    inOrderOf(missing, await core.em.fork().find(Source, { id: { $in: missing } })),
  );
}

/** A field that only some may see of an object that more may see. @throws Forbidden */
export function allowSourceField(ctx: Ctx, field: 'reachable' | 'lastError' | 'deliveries'): void {
  allow(ctx, `Source.${field}`);
}

/** The action endpoint for who may see it, else null: the legacy list shows agents the rest of a source. */
export function seenActionEndpoint(ctx: Ctx, source: Source): string | null {
  return may(ctx, 'Source.actionEndpoint') ? source.actionEndpoint : null;
}

export interface DeliveriesQuery {
  last: number;
  onlyFailed: boolean;
}

/** The last calls to the action endpoint of each of several sources, newest first; `last` up to 100. */
export async function listDeliveries(
  ctx: Ctx,
  sourceIds: readonly string[],
  { last, onlyFailed }: DeliveriesQuery,
): Promise<DeliveryAttempt[][]> {
  allowSourceField(ctx, 'deliveries');
  if (last < 1 || last > 100) throw new InvalidInput('last', 'must be from 1 to 100');
  const found = await rows<Record<string, unknown>>(
    ctx.em,
    sql`select d.id, d.source, d.conversation_id, d.message_id, d.attempt, d.url, d.status_code, d.error, d.duration_ms,
          d.request, d.response, d.at
        from unnest(${[...sourceIds]}::uuid[]) s(id) cross join lateral (
          select * from delivery_attempt d where d.source = s.id ${onlyFailed ? sql`and d.error is not null` : sql``}
          order by d.id desc limit ${last}::int) d
        order by d.id desc`,
  );
  const bySource = new Map<string, DeliveryAttempt[]>(sourceIds.map((id) => [id, []]));
  for (const one of found.map((row) => ctx.em.map(DeliveryAttempt, row))) bySource.get(one.source)?.push(one);
  return sourceIds.map((id) => bySource.get(id) ?? []);
}

/**
 * Opens one `host:port` inside private networks while this process runs, for trying things out.
 *
 * @throws Forbidden in production: set `OUTBOUND_ALLOW` there
 */
export function openOutbound(ctx: Ctx, { hostPort }: { hostPort: string }): string {
  allow(ctx, 'openOutbound');
  if (ctx.core.settings.isProduction) throw new Forbidden(`in production set OUTBOUND_ALLOW=${hostPort} instead`);
  if (!/^(\[[0-9a-f:]+\]|[a-z0-9.-]+):\d{1,5}$/i.test(hostPort)) {
    throw new InvalidInput('hostPort', 'must be host:port such as 127.0.0.1:5000');
  }
  ctx.core.log.warn({ hostPort, requestId: ctx.requestId }, 'an administrator opened an address for outbound calls');
  ctx.core.outbound.allow(hostPort);
  return hostPort;
}

// Whoever changes a source has its row: of two at once the second one sees what the first one did.
const forUpdate = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;

/** Holds the source's row until the commit. @throws Unauthenticated it was deleted meanwhile */
export async function lockLiveSource(tx: Tx, id: string): Promise<void> {
  const source = await tx.em.findOne(Source, { id, deletedAt: null }, forUpdate);
  if (!source) throw new Unauthenticated();
}

/** A source that was not deleted, by its name; the caller has checked the rights. */
export function findLiveSource(ctx: Ctx, sourceId: string): Promise<Source | null> {
  return ctx.em.findOne(Source, { sourceId, deletedAt: null });
}

async function getLiveSource(tx: Tx, sourceId: string): Promise<Source> {
  const source = await tx.em.findOne(Source, { sourceId, deletedAt: null }, forUpdate);
  if (!source) throw new NotFound('source', sourceId);
  return source;
}

async function checkFields(ctx: Ctx, input: SourceFields, sourceId?: string): Promise<void> {
  const faults: Fault[] = [];
  if (sourceId !== undefined && !(sourceId.length >= 1 && sourceId.length <= longestSourceId && !/\s/.test(sourceId))) {
    faults.push({ path: 'sourceId', message: `must be 1 to ${longestSourceId} characters without blanks` });
  }
  if (input.name != null && (input.name.trim() === '' || input.name.length > longestName)) {
    faults.push({ path: 'name', message: `must be 1 to ${longestName} characters` });
  }
  if (input.imageUrl != null && !isWebAddress(input.imageUrl)) {
    faults.push({ path: 'imageUrl', message: 'must be an absolute http or https address' });
  }
  if (faults.length > 0) throw new InvalidInput(faults);
  if (input.actionEndpoint != null) await ctx.core.outbound.checkAddress(input.actionEndpoint, 'actionEndpoint');
}

function newSecrets(core: Core, id: string) {
  const tokenId = randomUUID();
  const token = signToken(core, 'source', { subject: id, id: tokenId });
  const signingSecret = `whsec_${randomBytes(32).toString('base64')}`;
  return {
    stored: {
      tokenId,
      tokenEncrypted: encryptSecret(core.settings, 'source.token', token),
      signingSecretEncrypted: encryptSecret(core.settings, 'source.signing', signingSecret),
    },
    told: { token, signingSecret },
  };
}

interface OpenSecrets {
  token: string;
  secret: string;
  previous: string | undefined;
}

const opened = new WeakMap<Source, OpenSecrets>();

/** What signs an action call: the token, and one or two Standard Webhooks secrets. Opened once for each reading of the source. */
export function signingKeysOf(core: Core, source: Source): { token: string; secrets: string[] } {
  const open = opened.get(source) ?? openSecrets(core.settings, source);
  opened.set(source, open);
  const { previousSigningSecretUntil: until } = source;
  const { token, secret, previous } = open;
  return { token, secrets: previous && until && until > core.now() ? [secret, previous] : [secret] };
}

function openSecrets(settings: Settings, source: Source): OpenSecrets {
  const { previousSigningSecretEncrypted: previous } = source;
  return {
    token: decryptSecret(settings, 'source.token', source.tokenEncrypted),
    secret: decryptSecret(settings, 'source.signing', source.signingSecretEncrypted),
    previous: previous ? decryptSecret(settings, 'source.signing', previous) : undefined,
  };
}

interface TokenStanding {
  sourceName: string;
  tokenId: string;
}

const standings = cachedFor<TokenStanding | undefined>(1_000);

/** The verifier of `aud: source`: the one token that was made last, of a source that is not deleted. */
export async function verifySourceToken(core: Core, token: string): Promise<Principal> {
  const claims = verifyToken(core, 'source', token);
  const standing = await standings.get(core, claims.sub, () => standingOf(core, claims.sub));
  if (!standing || standing.tokenId !== claims.jti) throw new Unauthenticated();
  return { kind: 'source', sourceId: claims.sub, sourceName: standing.sourceName };
}

async function standingOf(core: Core, id: string): Promise<TokenStanding | undefined> {
  if (!isUuid(id)) return undefined;
  const [row] = await rows<{ source_id: string; token_id: string }>(
    core.em.fork(),
    sql`select source_id, token_id::text from source where id = ${id}::uuid and deleted_at is null`,
  );
  return row && { sourceName: row.source_id, tokenId: row.token_id };
}

/** Part of a larger statement: the last delivery reached the source, or did not. Touches the row only when that is new. */
export function reachableAgain(id: string, isReached: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`update source set reachable = true, last_error = null where id = ${id}::uuid and ${isReached} and not reachable`;
}

/** The retries of a delivery are used up. */
export async function markUnreachable(tx: Tx, id: string, error: string): Promise<void> {
  await rows(tx.em, sql`update source set reachable = false, last_error = ${error} where id = ${id}::uuid`);
}
