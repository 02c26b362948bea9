import { setImmediate as othersFirst } from 'node:timers/promises';
import { allow, sourceOf } from '../../access.ts';
import type { Core, Ctx } from '../../context.ts';
import { type Fault, InvalidInput, maxFaults } from '../../errors.ts';
import { GroupCommit, mayBeOneEntrysFault, type Outcome } from '../../group-commit.ts';
import { sourceThingId } from '../../ids.ts';
import { perCore } from '../../per-core.ts';
import { isStorableText, oversizedJson } from '../../text.ts';
import { inSharedSpan, tracePlace } from '../../tracing.ts';
import { inFlights, Overtaken } from '../../transaction.ts';
import { reservedKeyForSource } from '../metadata/metadata.service.ts';
import type {
  IngestBatch,
  IngestEntry,
  IngestItem,
  IngestMessage,
  IngestMetadata,
  PreparedMessage,
} from './ingest-batch.ts';
import { planGroup } from './ingest-plan.ts';
import { locksForIngest, messageConversations, readState, unlockedConversations } from './ingest-state.ts';
import { writePlan } from './ingest-write.ts';

const longestId = 512;
const mostMessages = 1_000;
const mostMetadata = 1_000;
/** Items of a batch from which on others get a turn in between. */
const largeBatch = 100;
const earliest = Date.UTC(1970, 0, 1);
/** A message from beyond would stand on top of all lists until its day comes. Clocks may be a day wrong. */
const aheadMs = 86_400_000;

/** Below the 5 s in which a source hears that the database is away: those before it may have waited for it already. */
const answerMs = 4_500;

const groupLimits = { group: 1_000, queue: 50_000, atOnce: 2, answerMs };

const groupOf = perCore((core) => {
  const commit = (entries: IngestEntry[]) =>
    inSharedSpan(
      'ingest group',
      entries.map(({ place }) => place),
      () => commitGroup(core, entries),
    );
  return new GroupCommit(commit, groupLimits, mayBeOneEntrysFault);
});

/**
 * Takes a batch of the calling source: all of it or nothing, answered only when durable. First write wins on a repeated
 * `sourceMessageId`, whatever its conversation; the answer has one item for each message, in order.
 *
 * @throws InvalidInput up to 20 faults, nothing of the batch stored
 * @throws Unavailable more waits than can be worked soon
 * @see contracts, "sources.webhook, in detail"
 */
export async function ingest(ctx: Ctx, batch: IngestBatch): Promise<IngestItem[]> {
  allow(ctx, 'ingest');
  const { meter } = ctx.core;
  try {
    const items = await takeBatch(ctx, batch);
    const accepted = items.filter(({ status }) => status === 'CREATED').length;
    if (accepted > 0) meter.ingested('accepted', accepted);
    if (accepted < items.length) meter.ingested('duplicate', items.length - accepted);
    return items;
  } catch (error) {
    meter.ingested('rejected', batch.messages.length);
    throw error;
  }
}

async function takeBatch(ctx: Ctx, batch: IngestBatch): Promise<IngestItem[]> {
  const { sourceId, sourceName } = sourceOf(ctx);
  const count = batch.messages.length + batch.metadata.length;
  // To read a thousand of them took a while already.
  if (count > largeBatch) await othersFirst();
  const contents = batch.messages.map(({ content }) => JSON.stringify(content) ?? 'null');
  const faults = checkBatch(batch, contents, ctx.now().getTime() + aheadMs);
  if (count === 0) return [];
  const entry = {
    source: { id: sourceId, name: sourceName },
    messages: prepared(sourceName, batch.messages, contents),
    metadata: batch.metadata,
    faults,
    place: tracePlace(),
  };
  const texts = [...contents, ...batch.metadata.map(({ metadata }) => JSON.stringify(metadata))];
  return groupOf(ctx.core).join(entry, Math.max(count, weightOf(texts)));
}

// One for each KiB: what waits together is bounded in bytes too, and what is written together is written soon.
function weightOf(texts: string[]): number {
  let characters = 0;
  for (const text of texts) characters += text.length;
  return Math.ceil(characters / 1024);
}

function prepared(sourceName: string, messages: IngestMessage[], contents: string[]): PreparedMessage[] {
  const channels = new Map<string, string>();
  return messages.map((message, index) => {
    const { sourceChannelId } = message;
    const channelId = channels.get(sourceChannelId) ?? sourceThingId(sourceName, sourceChannelId);
    channels.set(sourceChannelId, channelId);
    return {
      sourceMessageId: message.sourceMessageId,
      sourceConversationId: message.sourceConversationId,
      sourceChannelId,
      sourceSenderId: message.sourceSenderId,
      content: message.content,
      fromContact: message.fromContact,
      sentAt: message.sentAt,
      id: sourceThingId(sourceName, message.sourceMessageId),
      conversationId: sourceThingId(sourceName, message.sourceConversationId),
      channelId,
      json: contents[index]!,
    };
  });
}

// Two ways to the database: locks and state, then what is written with the commit.
function commitGroup(core: Core, entries: IngestEntry[]): Promise<Outcome<IngestItem[]>[]> {
  return inFlights(core, async (sends) => {
    // Before the locks: it only reads, so the transaction has no id yet (lanes-and-events, trap 4).
    const subjects = await messageConversations(sends.send, entries);
    const locks = locksForIngest(entries, subjects);
    const state = await readState(sends.send, locks.statement, entries);
    if (unlockedConversations(entries, state, locks.conversations).length > 0) {
      throw new Overtaken('a message came meanwhile whose conversation is not locked');
    }
    const plan = planGroup(entries, state);
    if (plan.messages.length > largeBatch) await othersFirst();
    await writePlan(sends, plan);
    return plan.outcomes;
  });
}

/**
 * What is wrong with a batch by itself. Where it can still be planned, these faults go with it and are told together
 * with what the plan finds.
 */
function checkBatch(batch: IngestBatch, contents: string[], latest: number): Fault[] {
  const { messages, metadata } = batch;
  if (messages.length > mostMessages) {
    throw new InvalidInput('messages', `must be at most ${mostMessages} in one batch, got ${messages.length}`);
  }
  if (metadata.length > mostMetadata) {
    throw new InvalidInput('metadata', `must be at most ${mostMetadata} in one batch, got ${metadata.length}`);
  }
  const faults: Fault[] = [];
  for (const [index, message] of messages.entries()) {
    checkMessage({ message, content: contents[index]!, path: `messages[${index}]`, latest }, faults);
  }
  for (const [index, item] of metadata.entries()) checkMetadata(item, `metadata[${index}]`, faults);
  const isTold = faults.length >= maxFaults || (faults.length > 0 && !canBeLookedUp(batch));
  if (isTold) throw new InvalidInput(faults.slice(0, maxFaults));
  return faults;
}

// PostgreSQL is never asked for a text that it refuses.
function canBeLookedUp({ messages, metadata }: IngestBatch): boolean {
  return (
    messages.every((message) => idFields.every((field) => isIdText(message[field]))) &&
    metadata.every((item) => isNamespace(item.namespace) && isIdText(item.sourceId))
  );
}

const idFields = ['sourceMessageId', 'sourceConversationId', 'sourceChannelId', 'sourceSenderId'] as const;

function checkMessage(
  { message, content, path, latest }: { message: IngestMessage; content: string; path: string; latest: number },
  faults: Fault[],
): void {
  for (const field of idFields) {
    if (!isIdText(message[field])) faults.push({ path: `${path}.${field}`, message: idRule });
  }
  const sentAt = message.sentAt.getTime();
  if (!(sentAt >= earliest && sentAt <= latest)) {
    faults.push({ path: `${path}.sentAt`, message: 'must be between the year 1970 and a day from now' });
  }
  const oversized = oversizedJson(message.content, content);
  if (oversized) faults.push({ path: `${path}.content`, message: oversized });
}

const idRule = `must be 1 to ${longestId} characters`;

function isIdText(text: string): boolean {
  return text.length >= 1 && text.length <= longestId && isStorableText(text);
}

function isNamespace(text: string): boolean {
  return text === 'conversation' || text === 'message';
}

function checkMetadata(item: IngestMetadata, path: string, faults: Fault[]): void {
  if (!isNamespace(item.namespace)) {
    faults.push({ path: `${path}.namespace`, message: `Unknown metadata namespace ${item.namespace}` });
  }
  if (!isIdText(item.sourceId)) faults.push({ path: `${path}.sourceId`, message: idRule });
  const reserved = reservedKeyForSource(item.metadata);
  if (reserved) faults.push({ path: `${path}.metadata`, message: `the key "${reserved}" is reserved` });
  const oversized = oversizedJson(item.metadata);
  if (oversized) faults.push({ path: `${path}.metadata`, message: oversized });
}
