import { z } from 'zod';
import { type Row, row } from '../run-row.ts';
import * as answers from './airy.answers.ts';
import { anyJson, id, instant, jsonObject, nothing, optionalText, text } from './airy.inputs.ts';

interface SourceData {
  legacyId: string;
  name: string | null;
  imageUrl: string | null;
  actionEndpoint: string | null;
}

const sourceFields = 'legacyId name imageUrl actionEndpoint';

/** Fields without a value are left out here. */
function sourcePayload(source: SourceData) {
  return {
    source_id: source.legacyId,
    ...(source.actionEndpoint !== null && { action_endpoint: source.actionEndpoint }),
    ...(source.name !== null && { name: source.name }),
    ...(source.imageUrl !== null && { image_url: source.imageUrl }),
  };
}

const sourceInput = z
  .object({ source_id: text, action_endpoint: optionalText, name: optionalText, image_url: optionalText })
  .transform(({ source_id: sourceId, action_endpoint: actionEndpoint, name, image_url: imageUrl }) => ({
    // A field that is not given stays out, so that an update leaves it as it is.
    input: {
      sourceId,
      ...(actionEndpoint !== undefined && { actionEndpoint }),
      ...(name !== undefined && { name }),
      ...(imageUrl !== undefined && { imageUrl }),
    },
  }));

interface SourceChannelData {
  legacyId: string;
  sourceId: string;
  sourceChannelId: string;
  connected: boolean;
  metadata: Record<string, unknown>;
}

const sourceChannelFields = 'legacyId sourceId sourceChannelId connected metadata';

function sourceChannelPayload(channel: SourceChannelData, more: Record<string, unknown> = {}) {
  return {
    id: channel.legacyId,
    source_id: channel.sourceId,
    source: channel.sourceId,
    source_channel_id: channel.sourceChannelId,
    metadata: { ...channel.metadata, ...more },
    connected: channel.connected,
  };
}

/** What stands in no other answer goes back to who sent it. */
function givenSecrets(metadata: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(metadata).filter(([key, value]) => ['token', 'page_token'].includes(key) && value !== null),
  );
}

const webhookMessage = z
  .object({
    source_message_id: text,
    source_conversation_id: text,
    source_channel_id: text,
    source_sender_id: text,
    content: anyJson,
    from_contact: z.boolean().nullish(),
    sent_at: instant,
  })
  .transform((message) => ({
    sourceMessageId: message.source_message_id,
    sourceConversationId: message.source_conversation_id,
    sourceChannelId: message.source_channel_id,
    sourceSenderId: message.source_sender_id,
    content: message.content,
    fromContact: message.from_contact ?? false,
    sentAt: message.sent_at,
  }));

const webhookMetadata = z
  .object({ namespace: text, source_id: text, metadata: jsonObject })
  .transform(({ source_id: sourceId, ...rest }) => ({ ...rest, sourceId }));

const largestBatch = 1_000;

// Counted before the items are looked at: a megabyte of wrong ones would make half a million faults.
function batchOf<Item extends z.ZodType>(item: Item) {
  return z
    .array(z.unknown())
    .max(largestBatch, {
      error: (issue) => `must be at most ${largestBatch} in one batch, got ${(issue.input as unknown[]).length}`,
    })
    .pipe(z.array(item))
    .nullish();
}

interface IngestData {
  ingest: { items: { sourceMessageId: string; messageId: string; status: 'CREATED' | 'DUPLICATE' }[] };
}

/** Endpoints of the Source document. @see contracts, section 3 */
export const airySource: Record<string, Row> = {
  'sources.create': row({
    runs: `mutation ($input: CreateSourceInput!) { createSource(input: $input) { token signingSecret source { ${sourceFields} } } }`,
    faults: [409],
    in: sourceInput,
    answer: answers.sourceWithSecrets,
    out: ({ createSource: made }: { createSource: { token: string; signingSecret: string; source: SourceData } }) => ({
      ...sourcePayload(made.source),
      token: made.token,
      signing_secret: made.signingSecret,
    }),
  }),

  'sources.list': row({
    runs: `query { sources { ${sourceFields} } }`,
    in: nothing,
    answer: answers.sources,
    out: ({ sources }: { sources: SourceData[] }) => ({ data: sources.map(sourcePayload) }),
  }),

  'sources.update': row({
    runs: `mutation ($input: UpdateSourceInput!) { updateSource(input: $input) { source { ${sourceFields} } } }`,
    faults: [404],
    in: sourceInput,
    answer: answers.shownSource,
    out: ({ updateSource: { source } }: { updateSource: { source: SourceData } }) => sourcePayload(source),
  }),

  'sources.delete': row({
    runs: 'mutation ($input: SourceInput!) { deleteSource(input: $input) { sourceId } }',
    status: 202,
    in: z.object({ source_id: text }).transform((body) => ({ input: { sourceId: body.source_id } })),
    answer: answers.nothing,
    out: () => ({}),
  }),

  'sources.channels.create': row({
    runs: `mutation ($input: CreateSourceChannelInput!) {
      createSourceChannel(input: $input) { channel { ${sourceChannelFields} } } }`,
    status: 201,
    in: z
      .object({ source_channel_id: text, name: text, metadata: jsonObject.nullish() })
      .transform(({ source_channel_id: sourceChannelId, ...rest }) => ({ input: { ...rest, sourceChannelId } })),
    answer: answers.sourceChannel,
    out: (
      { createSourceChannel: made }: { createSourceChannel: { channel: SourceChannelData } },
      { input }: { input: { metadata?: Record<string, unknown> | null } },
    ) => sourceChannelPayload(made.channel, givenSecrets(input.metadata ?? {})),
  }),

  'sources.channels.list': row({
    runs: `query { sourceChannels { ${sourceChannelFields} } }`,
    in: nothing,
    answer: answers.sourceChannels,
    out: ({ sourceChannels }: { sourceChannels: SourceChannelData[] }) => ({
      data: sourceChannels.map((channel) => sourceChannelPayload(channel)),
    }),
  }),

  'sources.channels.disconnect': row({
    runs: 'mutation ($input: ChannelInput!) { disconnectSourceChannel(input: $input) { changed } }',
    status: 204,
    in: z.object({ channel_id: id }).transform((body) => ({ input: { channelId: body.channel_id } })),
  }),

  'sources.webhook': row({
    runs: 'mutation ($input: IngestInput!) { ingest(input: $input) { items { sourceMessageId messageId status } } }',
    in: z
      .object({ messages: batchOf(webhookMessage), metadata: batchOf(webhookMetadata) })
      .transform(({ messages, metadata }) => ({ input: { messages: messages ?? [], metadata: metadata ?? [] } })),
    answer: answers.taken,
    out: ({ ingest }: IngestData) => ({
      data: ingest.items.map((item) => ({
        source_message_id: item.sourceMessageId,
        id: item.messageId,
        status: item.status.toLowerCase(),
      })),
    }),
    maxBodyBytes: 1024 * 1024,
  }),
};
