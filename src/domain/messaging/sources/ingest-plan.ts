import { DomainError, type Fault, InvalidInput, maxFaults } from '../../errors.ts';
import { newId, sourceThingId } from '../../ids.ts';
import { oversizedJson } from '../../text.ts';
import {
  type ContactNaming,
  contactNaming,
  isSameMetadata,
  type Metadata,
  mergeMetadata,
} from '../metadata/metadata.service.ts';
import type { Outcome } from './group-commit.ts';
import type { IngestEntry, IngestItem, IngestMessage } from './ingest-batch.ts';
import { type IngestState, type KnownConversation, pairKey, waitingKey } from './ingest-state.ts';

export interface PlannedConversation extends KnownConversation {
  sourceConversationId: string;
  createdAt: Date;
}

export interface PlannedMessage {
  id: string;
  conversationId: string;
  source: string;
  sourceMessageId: string;
  sequence: number;
  fromContact: boolean;
  /** The contact's id where it is from the contact, else the source's sender id. */
  senderId: string;
  content: string;
  sentAt: Date;
}

/** All that a group of batches writes. */
export interface IngestPlan {
  outcomes: Outcome<IngestItem[]>[];
  newContacts: { id: string; source: string; senderId: string }[];
  newConversations: PlannedConversation[];
  /** Conversations that had no contact and get one now. */
  contactOf: Map<string, string>;
  messages: PlannedMessage[];
  conversationMetadata: Map<string, Metadata>;
  messageMetadata: Map<string, { conversationId: string; metadata: Metadata; isNew: boolean }>;
  contactNamings: Map<string, ContactNaming>;
  waiting: Map<string, { source: string; namespace: string; subjectId: string; metadata: Metadata }>;
  /** Keys of waiting metadata whose subject has come. */
  arrived: { source: string; namespace: string; subjectId: string }[];
}

const mostWaiting = 10_000;

/**
 * Decides, without touching the database, what each batch of a group comes to: a batch with a fault leaves no trace in
 * the plan, the others see what came before them.
 */
export function planGroup(entries: IngestEntry[], state: IngestState): IngestPlan {
  const plan: IngestPlan = {
    outcomes: [],
    newContacts: [],
    newConversations: [],
    contactOf: new Map(),
    messages: [],
    conversationMetadata: new Map(),
    messageMetadata: new Map(),
    contactNamings: new Map(),
    waiting: new Map(),
    arrived: [],
  };
  for (const entry of entries) {
    const faults = faultsOf(entry, state);
    if (faults.length > 0) {
      plan.outcomes.push({ ok: false, error: new InvalidInput(faults.slice(0, maxFaults)) });
      continue;
    }
    const items = entry.messages.map((message, index) =>
      planMessage(entry, message, entry.contents[index]!, state, plan),
    );
    for (const item of entry.metadata) planMetadata(entry, item, state, plan);
    plan.outcomes.push({ ok: true, value: items });
  }
  nameContacts(state, plan);
  return plan;
}

function faultsOf(entry: IngestEntry, state: IngestState): Fault[] {
  const faults: Fault[] = [];
  const channelOfNew = new Map<string, string>();
  entry.messages.forEach((message, index) => {
    const path = `messages[${index}]`;
    const channelId = sourceThingId(entry.source.name, message.sourceChannelId);
    const channel = state.channels.get(channelId);
    if (channel?.source !== entry.source.id) {
      faults.push({
        path: `${path}.sourceChannelId`,
        message: `unknown channel "${message.sourceChannelId}": create it with sources.channels.create first`,
      });
    } else if (!channel.connected) {
      faults.push({
        path: `${path}.sourceChannelId`,
        message: `the channel "${message.sourceChannelId}" is disconnected: connect it with sources.channels.create first`,
      });
    }
    const conversationId = sourceThingId(entry.source.name, message.sourceConversationId);
    const known = state.conversations.get(conversationId);
    const expected = known?.channelId ?? channelOfNew.get(conversationId) ?? channelId;
    channelOfNew.set(conversationId, expected);
    if (known && known.source !== entry.source.id) {
      faults.push({
        path: `${path}.sourceConversationId`,
        message: 'its id is taken by a conversation of another source',
      });
    } else if (expected !== channelId) {
      faults.push({
        path: `${path}.sourceChannelId`,
        message: `the conversation "${message.sourceConversationId}" belongs to the channel ${expected}, not to "${message.sourceChannelId}" (${channelId})`,
      });
    }
    const stored = state.messages.get(sourceThingId(entry.source.name, message.sourceMessageId));
    if (stored && stored.source !== entry.source.id) {
      faults.push({ path: `${path}.sourceMessageId`, message: 'its id is taken by a message of another source' });
    }
  });
  return [...faults, ...metadataFaults(entry, state)];
}

function metadataFaults(entry: IngestEntry, state: IngestState): Fault[] {
  const faults: Fault[] = [];
  const waiting = new Set<string>();
  const made = new Set(
    entry.messages.flatMap((m) => [`message ${m.sourceMessageId}`, `conversation ${m.sourceConversationId}`]),
  );
  entry.metadata.forEach((item, index) => {
    const id = sourceThingId(entry.source.name, item.sourceId);
    const isMessage = item.namespace === 'message';
    const subject = isMessage ? state.messages.get(id) : state.conversations.get(id);
    const sent = isMessage ? state.sent.get(pairKey(entry.source.id, item.sourceId)) : undefined;
    if (subject && subject.source !== entry.source.id) {
      faults.push({
        path: `metadata[${index}].sourceId`,
        message: `its id is taken by a ${item.namespace} of another source`,
      });
    }
    const key = waitingKey(entry.source.id, item.namespace, item.sourceId);
    if (!subject && !sent && !made.has(`${item.namespace} ${item.sourceId}`) && !state.waiting.has(key))
      waiting.add(key);
    try {
      const before = state.metadata.get(sent?.id ?? id) ?? state.waiting.get(key) ?? {};
      const oversized = oversizedJson(mergeMetadata(before, item.metadata));
      if (oversized)
        faults.push({ path: `metadata[${index}].metadata`, message: `together with what is stored, ${oversized}` });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      faults.push({ path: `metadata[${index}].metadata`, message: error.faults[0]?.message ?? error.message });
    }
  });
  if ((state.waitingCounts.get(entry.source.id) ?? 0) + waiting.size > mostWaiting) {
    faults.push({
      path: 'metadata',
      message: `at most ${mostWaiting} items of a source may wait for their conversation or message`,
    });
  }
  return faults;
}

function planMessage(
  entry: IngestEntry,
  message: IngestMessage,
  content: string,
  state: IngestState,
  plan: IngestPlan,
): IngestItem {
  const { source } = entry;
  const id = sourceThingId(source.name, message.sourceMessageId);
  const answer = { sourceMessageId: message.sourceMessageId };
  // What we sent and the source now tells us of is the same message.
  const sent = state.sent.get(pairKey(source.id, message.sourceMessageId));
  if (sent) return { ...answer, id: sent.id, status: 'DUPLICATE' };
  if (state.messages.has(id)) return { ...answer, id, status: 'DUPLICATE' };

  const conversation = conversationFor(entry, message, state, plan);
  const senderId = message.fromContact
    ? contactFor(source.id, message.sourceSenderId, state, plan)
    : message.sourceSenderId;
  if (message.fromContact && conversation.contactId === null) {
    conversation.contactId = senderId;
    plan.contactOf.set(conversation.id, senderId);
  }
  plan.messages.push({
    id,
    conversationId: conversation.id,
    source: source.id,
    sourceMessageId: message.sourceMessageId,
    sequence: conversation.nextSequence,
    fromContact: message.fromContact,
    senderId,
    content,
    sentAt: message.sentAt,
  });
  conversation.nextSequence += 1;
  state.messages.set(id, { source: source.id, conversationId: conversation.id });
  const waiting = takeWaiting(source.id, 'message', message.sourceMessageId, state, plan);
  if (waiting) plan.messageMetadata.set(id, { conversationId: conversation.id, metadata: waiting, isNew: true });
  return { ...answer, id, status: 'CREATED' };
}

function conversationFor(
  entry: IngestEntry,
  message: IngestMessage,
  state: IngestState,
  plan: IngestPlan,
): KnownConversation {
  const { source } = entry;
  const id = sourceThingId(source.name, message.sourceConversationId);
  const known = state.conversations.get(id);
  if (known) return known;
  const made: PlannedConversation = {
    id,
    source: source.id,
    sourceConversationId: message.sourceConversationId,
    channelId: sourceThingId(source.name, message.sourceChannelId),
    contactId: null,
    nextSequence: 1,
    createdAt: message.sentAt,
  };
  state.conversations.set(id, made);
  plan.newConversations.push(made);
  const waiting = takeWaiting(source.id, 'conversation', message.sourceConversationId, state, plan);
  if (waiting) plan.conversationMetadata.set(id, waiting);
  return made;
}

function contactFor(source: string, senderId: string, state: IngestState, plan: IngestPlan): string {
  const key = pairKey(source, senderId);
  const known = state.contacts.get(key);
  if (known) return known;
  const id = newId();
  state.contacts.set(key, id);
  plan.newContacts.push({ id, source, senderId });
  return id;
}

function takeWaiting(
  source: string,
  namespace: string,
  subjectId: string,
  state: IngestState,
  plan: IngestPlan,
): Metadata | undefined {
  const key = waitingKey(source, namespace, subjectId);
  const waiting = plan.waiting.get(key)?.metadata ?? state.waiting.get(key);
  if (!waiting) return undefined;
  plan.waiting.delete(key);
  if (state.waiting.delete(key)) plan.arrived.push({ source, namespace, subjectId });
  return waiting;
}

function planMetadata(
  entry: IngestEntry,
  item: IngestEntry['metadata'][number],
  state: IngestState,
  plan: IngestPlan,
): void {
  const { source } = entry;
  const id = sourceThingId(source.name, item.sourceId);
  if (item.namespace === 'conversation' && state.conversations.has(id)) {
    const before = plan.conversationMetadata.get(id) ?? state.metadata.get(id) ?? {};
    const after = mergeMetadata(before, item.metadata);
    if (!isSameMetadata(before, after)) plan.conversationMetadata.set(id, after);
    return;
  }
  const message = storedMessage(source.id, id, item.sourceId, state);
  if (item.namespace === 'message' && message) {
    const planned = plan.messageMetadata.get(message.id);
    const before = planned?.metadata ?? state.metadata.get(message.id) ?? {};
    const after = mergeMetadata(before, item.metadata);
    if (isSameMetadata(before, after)) return;
    const isNew = planned?.isNew ?? plan.messages.some((one) => one.id === message.id);
    plan.messageMetadata.set(message.id, {
      conversationId: message.conversationId,
      metadata: after,
      isNew,
    });
    return;
  }
  const key = waitingKey(source.id, item.namespace, item.sourceId);
  const before = plan.waiting.get(key)?.metadata ?? state.waiting.get(key) ?? {};
  const waiting = { source: source.id, namespace: item.namespace, subjectId: item.sourceId };
  plan.waiting.set(key, { ...waiting, metadata: mergeMetadata(before, item.metadata) });
}

// What we sent goes by an id of our own.
function storedMessage(
  source: string,
  id: string,
  theirs: string,
  state: IngestState,
): { id: string; conversationId: string } | undefined {
  const stored = state.messages.get(id);
  return state.sent.get(pairKey(source, theirs)) ?? (stored && { id, conversationId: stored.conversationId });
}

// A conversation's metadata names its contact: when it changes, and when the contact comes after it.
function nameContacts(state: IngestState, plan: IngestPlan): void {
  for (const id of new Set([...plan.conversationMetadata.keys(), ...plan.contactOf.keys()])) {
    const contactId = state.conversations.get(id)?.contactId;
    const metadata = plan.conversationMetadata.get(id) ?? state.metadata.get(id);
    const naming = metadata && contactNaming(metadata);
    if (contactId && naming) plan.contactNamings.set(contactId, { ...plan.contactNamings.get(contactId), ...naming });
  }
}
