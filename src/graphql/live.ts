import {
  type FieldNode,
  GraphQLError,
  type GraphQLField,
  getArgumentValues,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { type Core, createCtx, type Principal } from '../domain/context.ts';
import { type EventFeed, feedBatch } from '../domain/event-feed.ts';
import {
  comparePositions,
  decodeEventCursor,
  type EventPosition,
  type LoggedEvent,
  readEventLog,
  readEvents,
} from '../domain/events.ts';
import { DocumentRefused, operationOf, type PreparedDocument } from './documents.ts';
import type { AdmittedOperation, Graph } from './execute.ts';
import { graphLimits } from './limits.ts';
import { LiveBudget } from './live-budget.ts';
import { type LiveField, liveFields } from './live-fields.ts';
import { Group, type GroupQuery, renderEvent, renderReset, sharedCtx } from './live-group.ts';
import { Pace } from './live-pace.ts';
import { FairSlots, type Slot } from './live-slots.ts';
import { type PreparedResult, Subscriber } from './live-subscriber.ts';

export type { PreparedResult } from './live-subscriber.ts';

/** Who subscribes, over which socket. */
export interface LiveCaller {
  principal: Principal;
  requestId: string;
  address: string;
  /** The subscriber fell too far behind: its socket is to be closed with 1013. */
  onOverflow(): void;
}

export interface Revocation {
  userId: string;
  tokenVersion: number;
}

/** Subscriptions over the event log. */
export interface Live {
  /**
   * Opens an admitted subscription. Each result comes stringified; `return()` of the iterator ends it at once.
   *
   * @throws DomainError no rights, or arguments or cursor that do not hold
   * @throws DocumentRefused variables that do not fit
   */
  subscribe(
    operation: AdmittedOperation,
    caller: LiveCaller,
  ): Promise<AsyncIterableIterator<PreparedResult, undefined>>;
  /** Tells whose tokens below a version are void; undefined: events were missed, it may be anybody's. */
  onRevoked(listener: (revoked: Revocation | undefined) => void): () => void;
  stop(): void;
}

/** Events that one subscriber may have missed; more is a reset. */
const maxReplay = 50_000;
/** Subscribers whose past is read at once: after a restart all come back together. */
const maxReplays = 8;
/** How many of them may be of one user. */
const maxReplaysOfUser = 2;

/**
 * Groups subscribers by document, variables and what they may see, and gives each event to each group once: one question to
 * `wants`, one execution, one JSON text for all its sockets.
 *
 * @see performance.md, "Design lessons", 3
 */
export function createLive(core: Core, graph: Graph, feed: EventFeed): Live {
  return new LiveGroups(core, graph, feed);
}

class LiveGroups implements Live {
  readonly #core: Core;
  readonly #graph: Graph;
  readonly #feed: EventFeed;
  readonly #groups = new Map<string, Group>();
  /** Groups that hear of one conversation only, by its id, and those that hear of all. */
  readonly #byConversation = new Map<string, Set<Group>>();
  readonly #unrouted = new Set<Group>();
  readonly #revokedListeners = new Set<(revoked: Revocation | undefined) => void>();
  readonly #endFeed: () => void;
  readonly #budget = new LiveBudget();
  readonly #replays = new FairSlots(maxReplays, maxReplaysOfUser);
  #resets = 0;

  constructor(core: Core, graph: Graph, feed: EventFeed) {
    this.#core = core;
    this.#graph = graph;
    this.#feed = feed;
    this.#endFeed = feed.listen({ events: (batch) => this.#hear(batch), reset: (reason) => this.#restart(reason) });
  }

  async subscribe(operation: AdmittedOperation, caller: LiveCaller) {
    const { field, args, after, groupKey } = this.#read(operation, caller.principal);
    const cursor = typeof after === 'string' ? decodeEventCursor(after) : undefined;
    await field.open(createCtx(this.#core, caller), args);
    const conversationId = field.conversationId?.(args, caller.principal);
    const listener = `${ownerOf(caller.principal)} ${conversationId ?? 'inbox'}`;
    const giveBack = this.#budget.take(listener, groupKey, operation.cost);
    const group = this.#groups.get(groupKey) ?? this.#makeGroup(operation, { field, args, conversationId });
    const member = new Subscriber(caller.principal, this.#feed.position, {
      onEnd: (ended) => {
        giveBack();
        this.#leave(groupKey, ended);
      },
      onOverflow: caller.onOverflow,
    });
    if (cursor) {
      void this.#replays
        .run(ownerOf(caller.principal), (slot) => this.#replay(groupKey, group, member, cursor, slot))
        .catch((error) => member.fail(error));
    } else this.#join(groupKey, group, member, this.#feed.position);
    return member;
  }

  onRevoked(listener: (revoked: Revocation | undefined) => void): () => void {
    this.#revokedListeners.add(listener);
    return () => this.#revokedListeners.delete(listener);
  }

  stop(): void {
    this.#endFeed();
  }

  // What the request asks for: the field, its arguments, and the key of all requests with equal results.
  #read(operation: AdmittedOperation, principal: Principal) {
    const { prepared, operationName, variables } = operation;
    const node = operationOf(prepared, operationName);
    const root = rootField(prepared, node);
    const definition: GraphQLField<unknown, unknown> | undefined =
      root && this.#graph.schema.getSubscriptionType()?.getFields()[root.name.value];
    const field: LiveField | undefined = definition && liveFields.get(definition.name);
    if (!root || !definition || !field) throw refused('this subscription cannot be opened');
    const coerced = getVariableValues(this.#graph.schema, node.variableDefinitions ?? [], variables, {
      maxErrors: graphLimits.listedErrors,
    });
    if (coerced.errors) throw new DocumentRefused(coerced.errors);
    const { after, ...args } = argumentsOf(definition, root, coerced.coerced);
    const shown = { ...variables };
    const variable = afterVariable(prepared, root);
    if (variable) delete shown[variable];
    const groupKey = JSON.stringify([prepared.hash, operationName ?? null, shown, sightOf(principal)]);
    return { field, args, after, groupKey };
  }

  #makeGroup(operation: AdmittedOperation, of: Pick<GroupQuery, 'field' | 'args' | 'conversationId'>): Group {
    const run = this.#graph.compiled(operation);
    return new Group({ core: this.#core, graph: this.#graph, ...of, run, variables: operation.variables });
  }

  /** Synchronous with the look at the feed's position: no event falls between. */
  #join(key: string, group: Group, member: Subscriber, from: EventPosition): void {
    if (member.ended) return;
    member.from = from;
    group.members.add(member);
    if (this.#groups.has(key)) return;
    this.#groups.set(key, group);
    const { conversationId } = group.query;
    if (conversationId === undefined) this.#unrouted.add(group);
    else {
      const routed = this.#byConversation.get(conversationId) ?? new Set();
      this.#byConversation.set(conversationId, routed.add(group));
    }
  }

  #leave(key: string, member: Subscriber): void {
    const group = this.#groups.get(key);
    group?.members.delete(member);
    if (!group || group.members.size > 0) return;
    this.#groups.delete(key);
    this.#unrouted.delete(group);
    const { conversationId } = group.query;
    const routed = conversationId === undefined ? undefined : this.#byConversation.get(conversationId);
    routed?.delete(group);
    if (conversationId !== undefined && routed?.size === 0) this.#byConversation.delete(conversationId);
  }

  #hear(batch: readonly LoggedEvent[]): void {
    const { epoch } = this.#feed;
    for (const event of batch) {
      if (event.kind === 'user.revoked') for (const listener of this.#revokedListeners) listener(event.payload);
    }
    for (const group of this.#unrouted) group.add(batch, epoch);
    if (this.#byConversation.size === 0) return;
    const routed = new Map<Group, LoggedEvent[]>();
    const give = (group: Group, event: LoggedEvent) => {
      const events = routed.get(group);
      if (events) events.push(event);
      else routed.set(group, [event]);
    };
    for (const event of batch) {
      if (event.conversationId === null) continue;
      for (const group of this.#byConversation.get(event.conversationId) ?? []) give(group, event);
    }
    for (const [group, events] of routed) group.add(events, epoch);
  }

  #restart(reason: string): void {
    this.#resets += 1;
    for (const listener of this.#revokedListeners) listener(undefined);
    for (const group of this.#groups.values()) group.restart(reason, this.#feed.epoch, this.#feed.position);
  }

  async #replay(
    key: string,
    made: Group,
    member: Subscriber,
    cursor: { epoch: string; position: EventPosition },
    slot: Slot,
  ): Promise<void> {
    // It left while it waited for its turn.
    if (member.ended) return;
    const resets = this.#resets;
    const log = await readEventLog(this.#core);
    const lost =
      cursor.epoch !== log.epoch || cursor.position.txid > log.newestTxid
        ? 'the cursor is of another event log'
        : comparePositions(cursor.position, log.trimmed) < 0
          ? 'the cursor is older than the oldest event kept'
          : undefined;
    if (lost) return this.#beginAgain(key, made, member, lost);

    let position = cursor.position;
    let count = 0;
    while (!member.ended && comparePositions(position, this.#feed.position) < 0) {
      const batch = await readEvents(this.#core, position, feedBatch);
      if (this.#resets !== resets) return this.#beginAgain(key, made, member, 'the event log was replaced');
      if (batch.length < feedBatch) break;
      count += batch.length;
      if (count > maxReplay) return this.#beginAgain(key, made, member, `more than ${maxReplay} events were missed`);
      await this.#renderPast(made, member, batch, slot);
      position = batch.at(-1)!.position;
    }

    // Less than one read is missing: join now, keep back what comes, and read the rest up to where the feed stands.
    const until = this.#feed.position;
    if (this.#resets !== resets) return this.#beginAgain(key, made, member, 'the event log was replaced');
    const group = this.#groups.get(key) ?? made;
    if (comparePositions(position, until) >= 0) return this.#join(key, group, member, position);
    member.hold();
    this.#join(key, group, member, until);
    while (!member.ended && comparePositions(position, until) < 0) {
      const batch = await readEvents(this.#core, position, feedBatch);
      const missing = batch.filter((event) => comparePositions(event.position, until) <= 0);
      await this.#renderPast(group, member, missing, slot);
      if (missing.length < feedBatch) break;
      position = missing.at(-1)!.position;
    }
    // What waits beside the past must not count with it.
    await slot.aside(() => member.drained());
    member.release();
  }

  async #renderPast(group: Group, member: Subscriber, events: readonly LoggedEvent[], slot: Slot): Promise<void> {
    const { epoch } = this.#feed;
    const routedTo = group.query.conversationId;
    const own = events.filter((event) => routedTo === undefined || event.conversationId === routedTo);
    const pace = new Pace();
    for (let from = 0; from < own.length && !member.ended; ) {
      const shared = sharedCtx(group.query, member.principal);
      const rendered = own
        .slice(from, from + pace.count)
        .map((event) => renderEvent(group.query, member.principal, event, epoch, shared, () => !member.ended));
      from += rendered.length;
      const results = await Promise.all(rendered);
      pace.note(results);
      for (const result of results) if (result) member.pushPast(result);
      if (member.hasEnough) await slot.aside(() => member.drained());
    }
  }

  async #beginAgain(key: string, made: Group, member: Subscriber, reason: string): Promise<void> {
    const { epoch, position } = this.#feed;
    const group = this.#groups.get(key) ?? made;
    member.hold();
    this.#join(key, group, member, position);
    const result = await renderReset(group.query, member.principal, reason, epoch, position);
    if (result) member.pushPast(result);
    member.release();
  }
}

function argumentsOf(
  definition: GraphQLField<unknown, unknown>,
  root: FieldNode,
  variables: Record<string, unknown>,
): Record<string, unknown> {
  try {
    return getArgumentValues(definition, root, variables);
  } catch (error) {
    if (error instanceof GraphQLError) throw new DocumentRefused([error]);
    throw error;
  }
}

// Validation sees to it that there is exactly one; it may stand in a fragment.
function rootField(prepared: PreparedDocument, operation: OperationDefinitionNode): FieldNode | undefined {
  const sets = [operation.selectionSet];
  for (let set = sets.pop(); set; set = sets.pop()) {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) return selection;
      if (selection.kind === Kind.INLINE_FRAGMENT) sets.push(selection.selectionSet);
      else {
        const name = selection.name.value;
        for (const definition of prepared.document.definitions) {
          if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name)
            sets.push(definition.selectionSet);
        }
      }
    }
  }
  return undefined;
}

// The variable behind `after`, if it is used nowhere else: it then makes no difference to the results.
function afterVariable(prepared: PreparedDocument, root: FieldNode): string | undefined {
  const value = root.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (value?.kind !== Kind.VARIABLE) return undefined;
  const name = value.name.value;
  let uses = 0;
  visit(prepared.document, {
    VariableDefinition: () => false,
    Variable(node) {
      if (node.name.value === name) uses += 1;
    },
  });
  return uses === 1 ? name : undefined;
}

function ownerOf(principal: Principal): string {
  if (principal.kind === 'user') return principal.userId;
  if (principal.kind === 'apiKey') return principal.keyId;
  if (principal.kind === 'journey') return `journey ${principal.journeyId}`;
  return principal.kind === 'source' ? principal.sourceId : principal.kind;
}

// What results depend on beside document and variables: users of one role see the same, links each their conversation.
function sightOf(principal: Principal): string {
  if (principal.kind === 'journey') return `journey ${principal.journeyId} ${principal.conversationId}`;
  return principal.kind === 'user' ? principal.role : principal.kind;
}

function refused(message: string): DocumentRefused {
  return new DocumentRefused([new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })]);
}
