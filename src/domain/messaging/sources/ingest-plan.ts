import { type Fault, InvalidInput, maxFaults } from '../../errors.ts';
import type { ReceivedMessage } from '../../events.ts';
import type { Outcome } from '../../group-commit.ts';
import { newId } from '../../ids.ts';
import { type ContactNaming, contactNaming, isSameMetadata } from '../metadata/metadata.service.ts';
import type { IngestEntry, IngestItem, PreparedMessage } from './ingest-batch.ts';
import { type MetadataPlan, mergeBatch, planMerges, takeWaiting } from './ingest-metadata.ts';
import { type IngestState, type KnownConversation, metadataKey, pairKey, storedMessage } from './ingest-state.ts';

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
export interface IngestPlan extends MetadataPlan {
  outcomes: Outcome<IngestItem[]>[];
  newContacts: { id: string; source: string; senderId: string }[];
  newConversations: PlannedConversation[];
  /** Conversations that had no contact and get one now. */
  contactOf: Map<string, string>;
  messages: PlannedMessage[];
  /** Those from contacts in conversations that somebody listens to. */
  heard: ReceivedMessage[];
  contactNamings: Map<string, ContactNaming>;
}

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
    heard: [],
    conversationMetadata: new Map(),
    messageMetadata: new Map(),
    contactNamings: new Map(),
    waiting: new Map(),
    arrived: [],
  };
  for (const entry of entries) {
    const { merges, faults: metadataFaults } = mergeBatch(entry, state, plan);
    const faults = [...entry.faults, ...messageFaults(entry, state), ...metadataFaults];
    if (faults.length > 0) {
      plan.outcomes.push({ ok: false, error: new InvalidInput(faults.slice(0, maxFaults)) });
      continue;
    }
    const items = entry.messages.map((message) => planMessage(entry, message, state, plan));
    planMerges(entry, merges, state, plan);
    plan.outcomes.push({ ok: true, value: items });
  }
  nameContacts(state, plan);
  return plan;
}

function messageFaults(entry: IngestEntry, state: IngestState): Fault[] {
  const faults: Fault[] = [];
  const channelOfNew = new Map<string, string>();
  entry.messages.forEach((message, index) => {
    const path = `messages[${index}]`;
    const stored = state.messages.get(message.id);
    if (stored && stored.source !== entry.source.id) {
      faults.push({ path: `${path}.sourceMessageId`, message: 'its id is taken by a message of another source' });
      // Who repeats what was taken hears so, whatever became of the channel since.
    } else if (storedMessage(state, entry.source, message.sourceMessageId, message.id)) return;
    const { channelId, conversationId } = message;
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
  });
  return faults;
}

function planMessage(entry: IngestEntry, message: PreparedMessage, state: IngestState, plan: IngestPlan): IngestItem {
  const { source } = entry;
  const answer = { sourceMessageId: message.sourceMessageId };
  // What we sent and the source now tells us of is the same message.
  const { id } = message;
  const stored = storedMessage(state, source, message.sourceMessageId, id);
  if (stored) return { ...answer, id: stored.id, status: 'DUPLICATE' };

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
    content: message.json,
    sentAt: message.sentAt,
  });
  conversation.nextSequence += 1;
  if (message.fromContact && conversation.isHeard) {
    const { content, sentAt } = message;
    plan.heard.push({ messageId: id, conversationId: conversation.id, contactId: senderId, content, sentAt });
  }
  state.messages.set(id, { source: source.id, conversationId: conversation.id });
  const waiting = takeWaiting(source.id, 'message', message.sourceMessageId, state, plan);
  if (waiting) plan.messageMetadata.set(id, { conversationId: conversation.id, metadata: waiting, isNew: true });
  return { ...answer, id, status: 'CREATED' };
}

function conversationFor(
  entry: IngestEntry,
  message: PreparedMessage,
  state: IngestState,
  plan: IngestPlan,
): KnownConversation {
  const { source } = entry;
  const id = message.conversationId;
  const known = state.conversations.get(id);
  if (known) return known;
  const made: PlannedConversation = {
    id,
    source: source.id,
    sourceConversationId: message.sourceConversationId,
    channelId: message.channelId,
    contactId: null,
    nextSequence: 1,
    isHeard: false,
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

// A conversation's metadata names its contact: when it changes, and when the contact comes after it.
function nameContacts(state: IngestState, plan: IngestPlan): void {
  for (const id of new Set([...plan.conversationMetadata.keys(), ...plan.contactOf.keys()])) {
    const contactId = state.conversations.get(id)?.contactId;
    const before = state.metadata.get(metadataKey('conversation', id));
    const metadata = plan.conversationMetadata.get(id) ?? before;
    // What people have called the contact since is not undone by other facts.
    const isUntold = isSameMetadata({ contact: before?.contact }, { contact: metadata?.contact });
    if (isUntold && !plan.contactOf.has(id)) continue;
    const naming = metadata && contactNaming(metadata);
    if (contactId && naming) plan.contactNamings.set(contactId, { ...plan.contactNamings.get(contactId), ...naming });
  }
}
