import { DomainError, type Fault } from '../../errors.ts';
import { sourceThingId } from '../../ids.ts';
import { largestJson, oversizedJson } from '../../text.ts';
import { copyOf, isSameMetadata, type Metadata, mergeInto } from '../metadata/metadata.service.ts';
import type { IngestEntry, IngestMetadata } from './ingest-batch.ts';
import { type IngestState, metadataKey, storedMessage, waitingKey } from './ingest-state.ts';

/** The metadata that a group of batches writes. */
export interface MetadataPlan {
  conversationMetadata: Map<string, Metadata>;
  messageMetadata: Map<string, { conversationId: string; metadata: Metadata; isNew: boolean }>;
  waiting: Map<string, { source: string; namespace: string; subjectId: string; metadata: Metadata }>;
  /** Keys of waiting metadata whose subject has come. */
  arrived: { source: string; namespace: string; subjectId: string }[];
}

/** All that one batch says of one subject, merged into what is there. */
interface Merge {
  item: IngestMetadata;
  /** All that the batch says of it, in order. */
  parts: { path: string; patch: Metadata }[];
  before: Metadata;
  after: Metadata;
  /** An upper bound of the size of `after` as JSON. */
  mostBytes: number;
}

function startMerge(item: IngestMetadata, before: Metadata): Merge {
  return { item, parts: [], before, after: copyOf(before), mostBytes: Buffer.byteLength(JSON.stringify(before)) };
}

const mostWaiting = 10_000;

/** Merges a batch's metadata beside the plan, by subject: a batch with faults leaves no trace. */
export function mergeBatch(
  entry: IngestEntry,
  state: IngestState,
  plan: MetadataPlan,
): { merges: Map<string, Merge>; faults: Fault[] } {
  const merges = new Map<string, Merge>();
  const faults: Fault[] = [];
  if (entry.metadata.length === 0) return { merges, faults };
  const refused = new Set(entry.faults.map(({ path }) => path));
  for (const [index, item] of entry.metadata.entries()) {
    const path = `metadata[${index}]`;
    if (isOfAnotherSource(entry, item, state)) {
      faults.push({ path: `${path}.sourceId`, message: `its id is taken by a ${item.namespace} of another source` });
    }
    if (refused.has(`${path}.metadata`)) continue;
    const key = waitingKey(entry.source.id, item.namespace, item.sourceId);
    const merge = merges.get(key) ?? startMerge(item, presentMetadata(entry, item, state, plan));
    const fault = mergeItem(merge, item.metadata);
    if (fault) faults.push({ path: `${path}.metadata`, message: fault });
    else {
      merge.parts.push({ path: `${path}.metadata`, patch: item.metadata });
      merges.set(key, merge);
    }
  }
  for (const merge of merges.values()) {
    const fault = oversizedMerge(merge);
    if (fault) faults.push({ path: firstTooMuch(merge), message: fault });
  }
  if (waitingAfter(entry, merges, state, plan) > mostWaiting) {
    const message = `at most ${mostWaiting} items of a source may wait for their conversation or message`;
    faults.push({ path: 'metadata', message });
  }
  return { merges, faults };
}

/** Makes the merges of a batch part of the plan, after its messages. A merge that changes nothing writes nothing. */
export function planMerges(
  { source }: IngestEntry,
  merges: Map<string, Merge>,
  state: IngestState,
  plan: MetadataPlan,
): void {
  for (const [key, { item, before, after }] of merges) {
    if (isSameMetadata(before, after)) continue;
    const conversationId = sourceThingId(source.name, item.sourceId);
    const message = item.namespace === 'message' ? storedMessage(state, source, item.sourceId) : undefined;
    if (message) {
      // The state has the metadata of each message that was there before the group.
      const isNew = !state.metadata.has(metadataKey('message', message.id));
      plan.messageMetadata.set(message.id, { conversationId: message.conversationId, metadata: after, isNew });
    } else if (item.namespace === 'conversation' && state.conversations.has(conversationId)) {
      plan.conversationMetadata.set(conversationId, after);
    } else {
      if (!isWaiting(key, state, plan)) moveWaitingCount(state, source.id, 1);
      const { namespace, sourceId: subjectId } = item;
      plan.waiting.set(key, { source: source.id, namespace, subjectId, metadata: after });
    }
  }
}

/** Takes what waited for a subject that the plan makes. */
export function takeWaiting(
  source: string,
  namespace: string,
  subjectId: string,
  state: IngestState,
  plan: MetadataPlan,
): Metadata | undefined {
  if (plan.waiting.size + state.waiting.size === 0) return undefined;
  const key = waitingKey(source, namespace, subjectId);
  const waiting = plan.waiting.get(key)?.metadata ?? state.waiting.get(key);
  if (!waiting) return undefined;
  moveWaitingCount(state, source, -1);
  plan.waiting.delete(key);
  if (state.waiting.delete(key)) plan.arrived.push({ source, namespace, subjectId });
  return waiting;
}

function isOfAnotherSource({ source }: IngestEntry, item: IngestMetadata, state: IngestState): boolean {
  const id = sourceThingId(source.name, item.sourceId);
  const subject = item.namespace === 'message' ? state.messages.get(id) : state.conversations.get(id);
  return subject !== undefined && subject.source !== source.id;
}

/** What a subject has before the batch; if it is not there yet, what waits for it. */
function presentMetadata(
  { source }: IngestEntry,
  item: IngestMetadata,
  state: IngestState,
  plan: MetadataPlan,
): Metadata {
  const id = storedId(source, item, state);
  if (id === undefined) {
    const key = waitingKey(source.id, item.namespace, item.sourceId);
    return plan.waiting.get(key)?.metadata ?? state.waiting.get(key) ?? {};
  }
  const planned =
    item.namespace === 'message' ? plan.messageMetadata.get(id)?.metadata : plan.conversationMetadata.get(id);
  return planned ?? state.metadata.get(metadataKey(item.namespace, id)) ?? {};
}

function storedId(source: IngestEntry['source'], item: IngestMetadata, state: IngestState): string | undefined {
  if (item.namespace === 'message') return storedMessage(state, source, item.sourceId)?.id;
  const id = sourceThingId(source.name, item.sourceId);
  return state.conversations.has(id) ? id : undefined;
}

/** Bytes of JSON that one byte of a patch may become: a dot turns into a nested object. */
const mostGrowth = 5;

/** Merges an item in place. @returns the fault, where there is one */
function mergeItem(merge: Merge, patch: Metadata): string | undefined {
  try {
    mergeInto(merge.after, patch);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return error.faults[0]?.message ?? error.message;
  }
  merge.mostBytes += Buffer.byteLength(JSON.stringify(patch)) * mostGrowth;
  return undefined;
}

// Once for each subject: a thousand items may each bring it near the limit. The whole is written out only when it may
// have grown past it.
function oversizedMerge({ after, mostBytes }: Merge): string | undefined {
  if (mostBytes <= largestJson) return undefined;
  const oversized = oversizedJson(after);
  return oversized && `together with what is stored, ${oversized}`;
}

// By halves, as each try merges and writes out the whole.
function firstTooMuch({ before, parts }: Merge): string {
  let [fitting, tooMany] = [0, parts.length];
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    const after = copyOf(before);
    for (const { patch } of parts.slice(0, middle)) mergeInto(after, patch);
    if (oversizedJson(after)) tooMany = middle;
    else fitting = middle;
  }
  return parts[tooMany - 1]!.path;
}

/** How many items of the source wait once the batch is in. */
function waitingAfter(entry: IngestEntry, merges: Map<string, Merge>, state: IngestState, plan: MetadataPlan): number {
  const made = madeBy(entry, state);
  let count = state.waitingCounts.get(entry.source.id) ?? 0;
  for (const [key, { item }] of merges) {
    const isThere = made.has(key) || storedId(entry.source, item, state) !== undefined;
    if (!isThere && !isWaiting(key, state, plan)) count += 1;
  }
  return count;
}

/** The messages and conversations that a batch makes: a repeated message makes neither. */
function madeBy({ source, messages }: IngestEntry, state: IngestState): Set<string> {
  const made = new Set<string>();
  for (const { id, sourceMessageId, sourceConversationId } of messages) {
    const key = waitingKey(source.id, 'message', sourceMessageId);
    if (made.has(key) || storedMessage(state, source, sourceMessageId, id)) continue;
    made.add(key).add(waitingKey(source.id, 'conversation', sourceConversationId));
  }
  return made;
}

function isWaiting(key: string, state: IngestState, plan: MetadataPlan): boolean {
  return plan.waiting.has(key) || state.waiting.has(key);
}

function moveWaitingCount(state: IngestState, source: string, by: number): void {
  state.waitingCounts.set(source, (state.waitingCounts.get(source) ?? 0) + by);
}
