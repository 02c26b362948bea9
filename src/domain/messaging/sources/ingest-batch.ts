import type { Fault } from '../../errors.ts';
import type { TracePlace } from '../../tracing.ts';
import type { Metadata } from '../metadata/metadata.service.ts';

export interface IngestMessage {
  sourceMessageId: string;
  sourceConversationId: string;
  sourceChannelId: string;
  sourceSenderId: string;
  /** Any JSON value: up to 64 KiB, kept as it is. */
  content: unknown;
  fromContact: boolean;
  sentAt: Date;
}

export interface IngestMetadata {
  namespace: string;
  /** The source's id of the conversation or message. */
  sourceId: string;
  metadata: Metadata;
}

export interface IngestBatch {
  messages: IngestMessage[];
  metadata: IngestMetadata[];
}

export interface IngestItem {
  sourceMessageId: string;
  id: string;
  status: 'CREATED' | 'DUPLICATE';
}

/** A message with the ids of what it names, each made once. */
export interface PreparedMessage extends IngestMessage {
  id: string;
  conversationId: string;
  channelId: string;
  /** JSON text of its content. */
  json: string;
}

/** A checked batch with its source, as a group of them is worked in one transaction. */
export interface IngestEntry extends IngestBatch {
  source: { id: string; name: string };
  messages: PreparedMessage[];
  /** What is wrong with it already. It is then refused, together with what the plan finds. */
  faults: Fault[];
  /** Of the request that brought it. */
  place: TracePlace;
}
