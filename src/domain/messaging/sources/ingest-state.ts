import { type RawBuilder, sql } from 'kysely';
import { sourceThingId } from '../../ids.ts';
import { plainArray, textArray } from '../../statement.ts';
import type { Send } from '../../transaction.ts';
import type { Metadata } from '../metadata/metadata.service.ts';
import { sourceLocks } from '../metadata/waiting-metadata.service.ts';
import type { IngestEntry } from './ingest-batch.ts';

export interface KnownConversation {
  id: string;
  source: string;
  channelId: string;
  contactId: string | null;
  nextSequence: number;
  /** Somebody wants to hear of its messages. */
  isHeard: boolean;
}

/** What the database holds of the things that a group of batches names. */
export interface IngestState {
  channels: Map<string, { source: string; connected: boolean }>;
  conversations: Map<string, KnownConversation>;
  /** Stored messages by id: where they are and whose. */
  messages: Map<string, { source: string; conversationId: string }>;
  /** Messages that we sent, by source id and source_message_id. */
  sent: Map<string, { id: string; conversationId: string }>;
  /** Contact ids by `source id + sender id`. */
  contacts: Map<string, string>;
  /** Metadata of the subjects that are there, by `metadataKey`, and what waits for those that are not. */
  metadata: Map<string, Metadata>;
  waiting: Map<string, Metadata>;
  waitingCounts: Map<string, number>;
}

export const pairKey = (source: string, theirs: string): string => `${source} ${theirs}`;
export const waitingKey = (source: string, namespace: string, subjectId: string): string =>
  `${source} ${namespace} ${subjectId}`;
/** With the namespace: a conversation and a message of one source may have the same id. */
export const metadataKey = (namespace: string, id: string): string => `${namespace} ${id}`;

/**
 * The conversations of stored messages that metadata names: they are locked too. Read before the locks, so the message
 * may appear in between: `unlockedConversations` tells after them.
 */
export async function messageConversations(send: Send, entries: IngestEntry[]): Promise<string[]> {
  const items = entries.flatMap(({ source, metadata }) =>
    metadata.filter((item) => item.namespace === 'message').map((item) => ({ source, theirs: item.sourceId })),
  );
  if (items.length === 0) return [];
  const [found] = await send(
    sql<{ conversation_id: string }>`select conversation_id::text from message
          where id = any(${plainArray(items.map(({ source, theirs }) => sourceThingId(source.name, theirs)))}::uuid[])
        union
        select m.conversation_id::text from message m
          join unnest(${plainArray(items.map(({ source }) => source.id))}::uuid[], ${textArray(items.map(({ theirs }) => theirs))}::text[])
            a(source, theirs) on m.source = a.source and m.source_message_id = a.theirs
          where m.sender_type in ('USER', 'BOT', 'CAMPAIGN')`,
  );
  return found!.map((row) => row.conversation_id);
}

/**
 * The locks of an ingest. Metadata whose subject is not in its own batch takes the source alone, all else shares it.
 *
 * @returns also the ids of the conversations that it locks
 */
export function locksForIngest(
  entries: IngestEntry[],
  subjects: string[],
): { statement: RawBuilder<unknown>; conversations: Set<string> } {
  const conversations = new Set([...subjects, ...entries.flatMap(conversationsOf)]);
  return { statement: sourceLocks(sourceModes(entries), conversations), conversations };
}

/** The sources of a group, and whether it takes them alone. */
function sourceModes(entries: IngestEntry[]): Map<string, boolean> {
  const modes = new Map<string, boolean>();
  for (const { source, messages, metadata } of entries) {
    if (metadata.length === 0) {
      modes.set(source.id, modes.get(source.id) ?? false);
      continue;
    }
    const made = new Set(
      messages.flatMap((m) => [`message ${m.sourceMessageId}`, `conversation ${m.sourceConversationId}`]),
    );
    const isWhole = metadata.every((item) => made.has(`${item.namespace} ${item.sourceId}`));
    modes.set(source.id, (modes.get(source.id) ?? false) || !isWhole);
  }
  return modes;
}

function conversationsOf({ source, messages, metadata }: IngestEntry): string[] {
  return [
    ...messages.map((message) => message.conversationId),
    ...metadata
      .filter((item) => item.namespace === 'conversation')
      .map((item) => sourceThingId(source.name, item.sourceId)),
  ];
}

/** Conversations whose messages the group's metadata changes and that are not among the locked ones. */
export function unlockedConversations(entries: IngestEntry[], state: IngestState, locked: Set<string>): string[] {
  return entries.flatMap(({ source, metadata }) =>
    metadata
      .filter((item) => item.namespace === 'message')
      .map((item) => storedMessage(state, source, item.sourceId)?.conversationId)
      .filter((id): id is string => id !== undefined && !locked.has(id)),
  );
}

/** A message by the source's id of it. What we sent goes by an id of our own. @param id the one made of it */
export function storedMessage(
  state: IngestState,
  source: IngestEntry['source'],
  theirs: string,
  id = sourceThingId(source.name, theirs),
): { id: string; conversationId: string } | undefined {
  const sent = state.sent.size > 0 ? state.sent.get(pairKey(source.id, theirs)) : undefined;
  if (sent) return sent;
  const stored = state.messages.get(id);
  return stored && { id, conversationId: stored.conversationId };
}

interface StateRow {
  what: 'channel' | 'conversation' | 'message' | 'sent' | 'contact' | 'waiting';
  id: string | null;
  source: string;
  ref: string | null;
  other: string | null;
  number: number | null;
  flag: boolean | null;
}

/**
 * Takes the locks and reads, under them, all that the decision needs. One statement; a second one where metadata is concerned. The
 * laterals make it look up by index whatever the statistics say: a new table has none.
 */
export async function readState(send: Send, locks: RawBuilder<unknown>, entries: IngestEntry[]): Promise<IngestState> {
  const asked = idsOf(entries);
  const [, found] = await send<[unknown, StateRow]>(
    locks,
    sql`select 'channel' what, id, source, case when connected then 'connected' end ref, null::uuid other, null::int number, null::boolean flag
          from channel where id = any(${plainArray(asked.channels)}::uuid[])
        union all
        select 'conversation', id, source, channel_id::text, contact_id, next_sequence, listeners > 0
          from conversation where id = any(${plainArray(asked.conversations)}::uuid[])
        union all
        select 'message', id, source, null, conversation_id, null, null
          from message where id = any(${plainArray(asked.messages)}::uuid[])
        union all
        select 'sent', m.id, a.source, a.theirs, m.conversation_id, null, null
          from unnest(${plainArray(asked.sentSources)}::uuid[], ${textArray(asked.sentIds)}::text[]) a(source, theirs)
          cross join lateral (
            select id, conversation_id from message
            where source = a.source and source_message_id = a.theirs and source_message_id is not null
              and sender_type in ('USER', 'BOT', 'CAMPAIGN') limit 1) m
        union all
        select 'contact', i.contact_id, a.source, a.sender, null, null, null
          from unnest(${plainArray(asked.senderSources)}::uuid[], ${textArray(asked.senders)}::text[]) a(source, sender)
          cross join lateral (
            select contact_id from contact_identity where source = a.source and sender_id = a.sender limit 1) i
        union all
        select 'waiting', null, s, null, null, null, null from unnest(${plainArray(asked.sources)}::uuid[]) s
          where exists (select 1 from waiting_metadata w where w.source = s)`,
  );
  const state = toState(found);
  const sourcesWithWaiting = new Set(found.filter(({ what }) => what === 'waiting').map(({ source }) => source));
  const concerned = entries.some((entry) => entry.metadata.length > 0 || sourcesWithWaiting.has(entry.source.id));
  const unnamed = [...state.conversations.values()].filter(({ contactId }) => contactId === null);
  if (concerned || unnamed.length > 0) await readMetadata(send, entries, asked, state);
  return state;
}

function idsOf(entries: IngestEntry[]) {
  const channels = new Set<string>();
  const conversations = new Set<string>();
  const messages = new Set<string>();
  const sources = new Set<string>();
  const sent = new Map<string, [string, string]>();
  const senders = new Map<string, [string, string]>();
  for (const { source, ...entry } of entries) {
    sources.add(source.id);
    for (const message of entry.messages) {
      channels.add(message.channelId);
      conversations.add(message.conversationId);
      messages.add(message.id);
      sent.set(pairKey(source.id, message.sourceMessageId), [source.id, message.sourceMessageId]);
      if (message.fromContact) {
        senders.set(pairKey(source.id, message.sourceSenderId), [source.id, message.sourceSenderId]);
      }
    }
    for (const item of entry.metadata) {
      const id = sourceThingId(source.name, item.sourceId);
      if (item.namespace === 'conversation') conversations.add(id);
      else {
        messages.add(id);
        sent.set(pairKey(source.id, item.sourceId), [source.id, item.sourceId]);
      }
    }
  }
  return {
    channels: [...channels],
    conversations: [...conversations],
    messages: [...messages],
    sources: [...sources],
    sentSources: [...sent.values()].map(([source]) => source),
    sentIds: [...sent.values()].map(([, theirs]) => theirs),
    senderSources: [...senders.values()].map(([source]) => source),
    senders: [...senders.values()].map(([, sender]) => sender),
  };
}

function toState(found: StateRow[]): IngestState {
  const state: IngestState = {
    channels: new Map(),
    conversations: new Map(),
    messages: new Map(),
    sent: new Map(),
    contacts: new Map(),
    metadata: new Map(),
    waiting: new Map(),
    waitingCounts: new Map(),
  };
  for (const row of found) {
    const id = row.id ?? '';
    if (row.what === 'channel') state.channels.set(id, { source: row.source, connected: row.ref !== null });
    else if (row.what === 'message') state.messages.set(id, { source: row.source, conversationId: row.other! });
    else if (row.what === 'sent') state.sent.set(pairKey(row.source, row.ref!), { id, conversationId: row.other! });
    else if (row.what === 'contact') state.contacts.set(pairKey(row.source, row.ref!), id);
    else if (row.what === 'conversation') {
      state.conversations.set(id, {
        id,
        source: row.source,
        channelId: row.ref!,
        contactId: row.other,
        nextSequence: row.number!,
        isHeard: row.flag === true,
      });
    }
  }
  return state;
}

interface MetadataRow {
  key: string | null;
  source: string;
  namespace: string | null;
  subject_id: string | null;
  metadata: Metadata | null;
  count: number | null;
}

async function readMetadata(
  send: Send,
  entries: IngestEntry[],
  asked: ReturnType<typeof idsOf>,
  state: IngestState,
): Promise<void> {
  const refs = new Map<string, [string, string, string]>();
  for (const { source, ...entry } of entries) {
    const note = (namespace: string, theirs: string) =>
      refs.set(waitingKey(source.id, namespace, theirs), [source.id, namespace, theirs]);
    for (const message of entry.messages) {
      note('message', message.sourceMessageId);
      note('conversation', message.sourceConversationId);
    }
    for (const item of entry.metadata) note(item.namespace, item.sourceId);
  }
  const waiting = [...refs.values()];
  const [found] = await send(
    sql<MetadataRow>`select 'conversation ' || id key, source, null namespace, null subject_id, metadata, null::int count
          from conversation where id = any(${plainArray(asked.conversations)}::uuid[])
        union all
        select 'message ' || id, source, null, null, metadata, null from message
          where id = any(${plainArray([...asked.messages, ...[...state.sent.values()].map(({ id }) => id)])}::uuid[])
        union all
        select null, w.source, w.namespace, w.subject_id, w.metadata, null from waiting_metadata w
          join unnest(${plainArray(waiting.map(([s]) => s))}::uuid[], ${textArray(waiting.map(([, n]) => n))}::text[],
            ${textArray(waiting.map(([, , t]) => t))}::text[]) a(source, namespace, subject_id)
            on w.source = a.source and w.namespace = a.namespace and w.subject_id = a.subject_id
        union all
        select null, s, null, null, null, (select count(*)::int from waiting_metadata w where w.source = s)
          from unnest(${plainArray(asked.sources)}::uuid[]) s`,
  );
  for (const row of found!) {
    if (row.count !== null) state.waitingCounts.set(row.source, row.count);
    else if (row.key !== null) state.metadata.set(row.key, row.metadata ?? {});
    else state.waiting.set(waitingKey(row.source, row.namespace!, row.subject_id!), row.metadata ?? {});
  }
}
