import { setTimeout as sleep } from 'node:timers/promises';
import type { Core, Principal } from '../domain/context.ts';
import {
  comparePositions,
  type EventPosition,
  encodeEventCursor,
  type LoggedEvent,
  readEventLog,
} from '../domain/events.ts';
import { longestAnswer } from './answer-size.ts';
import { createGraphCtx, type GraphCtx } from './context.ts';
import type { Run } from './documents.ts';
import { toDomainError } from './errors.ts';
import type { Graph } from './execute.ts';
import type { LiveField, LivePayload } from './live-fields.ts';
import { Pace } from './live-pace.ts';
import type { PreparedResult, Subscriber } from './live-subscriber.ts';

/** What all subscribers of a group have in common. */
export interface GroupQuery {
  core: Core;
  graph: Graph;
  field: LiveField;
  /** The field's coerced arguments without `after`. */
  args: Record<string, unknown>;
  /** The one conversation that it hears of; undefined: of all. */
  conversationId: string | undefined;
  run: Run;
  variables: Record<string, unknown>;
}

/** Events that one group may have before it; past it the group's sockets close and come back with their cursors. */
const maxPending = 20_000;
/** Waits before an event is tried again, the last one as often as it takes while the database is away. */
const waitsMs = [100, 250, 500, 1_000, 2_000] as const;
/** So often it may fail while the database is there: then the event itself is at fault and becomes an error payload. */
const maxFailures = 6;

type Item = { event: LoggedEvent; epoch: string } | { reset: string; epoch: string; position: EventPosition };

/** Subscribers whose results are equal: each event is executed and stringified once for all of them. */
export class Group {
  readonly query: GroupQuery;
  readonly members = new Set<Subscriber>();
  readonly #pace = new Pace();
  #pending: Item[] = [];
  #running = false;
  // Grows when the feed begins again: what was begun before is not delivered any more.
  #generation = 0;

  constructor(query: GroupQuery) {
    this.query = query;
  }

  add(events: readonly LoggedEvent[], epoch: string): void {
    if (this.members.size === 0) return;
    for (const event of events) this.#pending.push({ event, epoch });
    if (this.#pending.length > maxPending) this.#overflow();
    else this.#start();
  }

  restart(reason: string, epoch: string, position: EventPosition): void {
    this.#generation += 1;
    this.#pending = [{ reset: reason, epoch, position }];
    for (const member of this.members) member.from = position;
    this.#start();
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#drain()
      .catch((error) => this.query.core.log.error({ err: error }, 'a group of subscribers failed'))
      .finally(() => {
        this.#running = false;
        if (this.#pending.length > 0 && this.members.size > 0) this.#start();
      });
  }

  async #drain(): Promise<void> {
    while (this.#pending.length > 0) {
      const [member] = this.members;
      if (!member) {
        this.#pending = [];
        return;
      }
      const generation = this.#generation;
      const items = this.#pending.splice(0, this.#pace.count);
      const shared = sharedCtx(this.query, member.principal);
      const results = await Promise.all(items.map((item) => this.#render(item, member.principal, shared)));
      this.#pace.note(results);
      if (generation !== this.#generation) continue;
      for (const [index, item] of items.entries()) this.#deliver(item, results[index]);
    }
  }

  #render(item: Item, principal: Principal, shared: GraphCtx): Promise<PreparedResult | undefined> {
    return 'event' in item
      ? renderEvent(this.query, principal, item.event, item.epoch, shared, () => this.members.size > 0)
      : renderReset(this.query, principal, item.reset, item.epoch, item.position);
  }

  #deliver(item: Item, result: PreparedResult | undefined): void {
    if (!result) return;
    if (!('event' in item)) {
      for (const member of this.members) member.push(result);
      return;
    }
    for (const member of this.members) {
      if (comparePositions(item.event.position, member.from) > 0) member.push(result);
    }
  }

  #overflow(): void {
    this.#pending = [];
    for (const member of [...this.members]) member.overflow();
  }
}

/**
 * The context of events that are executed side by side. An event shows its subject as it is now, so what one of them
 * read is right for the others too.
 */
export function sharedCtx(query: GroupQuery, principal: Principal): GraphCtx {
  return createGraphCtx(query.core, { principal, requestId: 'live', address: 'live' });
}

/** Executes the group's document for one event; undefined when the event is not for it. */
export async function renderEvent(
  query: GroupQuery,
  principal: Principal,
  event: LoggedEvent,
  epoch: string,
  shared: GraphCtx,
  isWanted: () => boolean,
): Promise<PreparedResult | undefined> {
  const requestId = `event-${event.position.txid}.${event.position.id}`;
  const payload: LivePayload = { kind: 'event', cursor: encodeEventCursor(epoch, event.position), at: event.at, event };
  return patiently(query, principal, requestId, isWanted, async (isFirst) => {
    // What failed once is read anew.
    const ctx = isFirst ? shared : createGraphCtx(query.core, { principal, requestId, address: 'live' });
    return (await query.field.wants(ctx, event, query.args)) ? query.run(payload, ctx, query.variables) : undefined;
  });
}

/** Executes the group's document for the word that its client must begin again. */
export async function renderReset(
  query: GroupQuery,
  principal: Principal,
  reason: string,
  epoch: string,
  position: EventPosition,
): Promise<PreparedResult | undefined> {
  const requestId = `reset-${position.txid}.${position.id}`;
  const payload: LivePayload = {
    kind: 'reset',
    cursor: encodeEventCursor(epoch, position),
    at: query.core.now(),
    reason,
  };
  return patiently(
    query,
    principal,
    requestId,
    () => true,
    async () => {
      const ctx = createGraphCtx(query.core, { principal, requestId, address: 'live' });
      return query.run(payload, ctx, query.variables);
    },
  );
}

// An event that falls into an outage of the database waits for it; else its clients would miss it without a word.
async function patiently(
  query: GroupQuery,
  principal: Principal,
  requestId: string,
  isWanted: () => boolean,
  work: (isFirst: boolean) => Promise<Awaited<ReturnType<Run>> | undefined>,
): Promise<PreparedResult | undefined> {
  let failures = 0;
  for (let attempt = 0; ; attempt += 1) {
    let data: unknown;
    let errors: readonly unknown[] = [];
    try {
      const result = await work(attempt === 0);
      if (!result) return undefined;
      if (!result.errors?.length) return { json: JSON.stringify({ data: result.data }) };
      ({ data, errors } = result);
    } catch (error) {
      errors = [error];
    }
    const mayHeal = (data === null || data === undefined) && errors.some(isUnavailable);
    if (!mayHeal || failures === maxFailures) {
      const json = JSON.stringify({ errors: query.graph.format(errors, { principal, requestId }), data: data ?? null });
      return errors.some(isTooLarge) ? { json, took: longestAnswer } : { json };
    }
    if (!(await isDatabaseAway(query.core))) failures += 1;
    await sleep(waitsMs[Math.min(attempt, waitsMs.length - 1)]);
    if (!isWanted()) return undefined;
  }
}

function isDatabaseAway(core: Core): Promise<boolean> {
  return readEventLog(core).then(() => false, isUnavailable);
}

function isTooLarge(error: unknown): boolean {
  return toDomainError(error).code === 'TOO_LARGE';
}

function isUnavailable(error: unknown): boolean {
  return toDomainError(error).code === 'UNAVAILABLE';
}
