import { z } from 'zod';
import { NotFound, Unavailable } from '../../domain/errors.ts';
import { globalId } from '../../graphql/execute.ts';
import { type Row, row } from '../run-row.ts';
import * as answers from './airy.answers.ts';
import {
  anyJson,
  conversationOnly,
  defined,
  id,
  nothing,
  optionalText,
  type PageData,
  pageAnswer,
  pageArguments,
  pageFields,
  pageInfoFields,
  pageParameters,
  pageVariables,
  tagColor,
  text,
  unfilteredAnswer,
} from './airy.inputs.ts';
import {
  type ChannelData,
  type ConversationData,
  channelFields,
  channelPayload,
  conversationFields,
  conversationPayload,
  type MessageData,
  messageFields,
  messagePayload,
  sentFields,
  sentPayload,
  sessionFields,
  sessionPayload,
  type TagData,
  tagFields,
  tagPayload,
} from './airy.payloads.ts';

const emptyObject = () => ({});

const conversationAndTag = z
  .object({ conversation_id: id, tag_id: id })
  .transform((body) => ({ input: { conversationId: body.conversation_id, tagId: body.tag_id } }));

const conversationNode = (conversationId: string) => globalId('Conversation', conversationId);

interface SendBody {
  conversation_id?: string | null;
  channel_id?: string | null;
  source_recipient_id?: string | null;
  message: unknown;
}

/** To a conversation, or to whom there is none with yet. */
function sendInput(body: SendBody, check: z.RefinementCtx): { input: Record<string, unknown> } {
  const { conversation_id: conversationId, message: content } = body;
  const { channel_id: channelId, source_recipient_id: sourceRecipientId } = body;
  if (conversationId != null) {
    if (sourceRecipientId == null) return { input: { conversationId, content } };
    const message = 'give either conversation_id, or channel_id with source_recipient_id';
    check.addIssue({ code: 'custom', path: ['source_recipient_id'], message });
    return z.NEVER;
  }
  if (channelId != null && sourceRecipientId)
    return { input: { recipient: { channelId, sourceRecipientId }, content } };
  const message = 'is required, or else channel_id with source_recipient_id';
  check.addIssue({ code: 'custom', path: ['conversation_id'], message });
  return z.NEVER;
}

/** Endpoints of the HTTP document, and those around accounts. @see contracts, sections 2 and 6 */
export const airyCore: Record<string, Row> = {
  'users.signup': row({
    runs: `mutation ($input: SignUpInput!) { session: signUp(input: $input) { ${sessionFields} } }`,
    in: z
      .object({ email: text, password: text, first_name: text, last_name: text })
      .transform(({ first_name: firstName, last_name: lastName, ...rest }) => ({
        input: { ...rest, firstName, lastName },
      })),
    answer: answers.session,
    out: sessionPayload,
    // An e-mail that is in use already.
    errors: { CONFLICT: 401 },
  }),

  'users.login': row({
    runs: `mutation ($input: LogInInput!) { session: logIn(input: $input) { ${sessionFields} } }`,
    in: z.object({ email: text, password: text }).transform((input) => ({ input })),
    answer: answers.session,
    out: sessionPayload,
    errors: { UNAUTHENTICATED: 401 },
  }),

  'users.password-reset': row({
    runs: 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { done } }',
    in: z
      .object({ token: text, new_password: text })
      .transform(({ token, new_password: newPassword }) => ({ input: { token, newPassword } })),
    answer: answers.nothing,
    out: emptyObject,
  }),

  'users.request-password-reset': row({
    runs: 'mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { done } }',
    in: z.object({ email: text }).transform((input) => ({ input })),
    answer: answers.nothing,
    out: emptyObject,
  }),

  'conversations.list': row({
    says: 'Conversations, newest activity first. `filters` is in the syntax of Lucene, such as `display_name:*Lovelace AND unread_count:[1 TO *]`.',
    runs: `query ($filter: ConversationFilterInput, ${pageParameters}) { conversations(filter: $filter, ${pageArguments}) {
      nodes { ${conversationFields} } ${pageInfoFields} total filteredTotal unreadTotal } }`,
    in: z
      .object({
        ...pageFields,
        filters: optionalText.meta({
          description:
            'In the syntax of Lucene, 4,000 characters at most, such as `display_name:*Lovelace`. See docs/filters.md.',
        }),
      })
      .transform(({ filters, ...page }) => ({
        ...pageVariables(page),
        ...(filters && { filter: { query: filters } }),
      })),
    renames: { filter: 'filters', 'filter.query': 'filters' },
    answer: answers.conversations,
    out: ({
      conversations,
    }: {
      conversations: PageData & { nodes: ConversationData[]; filteredTotal: number | null; unreadTotal: number | null };
    }) => {
      if (conversations.filteredTotal === null) {
        throw new Unavailable(
          'counting what matches takes too long: ask for less, or read it by GraphQL without filteredTotal',
        );
      }
      return {
        data: conversations.nodes.map(conversationPayload),
        ...pageAnswer(conversations.pageInfo, conversations, { badge_unread_count: conversations.unreadTotal }),
      };
    },
  }),

  'conversations.info': row({
    says: 'One conversation.',
    runs: `query ($id: ID!) { conversation(id: $id) { ${conversationFields} } }`,
    in: z.object({ conversation_id: id }).transform((body) => ({ id: body.conversation_id })),
    answer: answers.conversation,
    out: ({ conversation }: { conversation: ConversationData | null }, variables) => {
      if (!conversation) throw new NotFound('conversation', variables.id);
      return conversationPayload(conversation);
    },
  }),

  'conversations.read': row({
    runs: 'mutation ($input: ConversationInput!) { markConversationRead(input: $input) { changed } }',
    status: 202,
    in: conversationOnly,
    answer: answers.nothing,
    out: emptyObject,
  }),

  'messages.list': row({
    says: 'The messages of a conversation, oldest to latest.',
    runs: `query ($id: ID!, ${pageParameters}) { conversation(id: $id) { sourceId messages(${pageArguments}) {
      nodes { ${messageFields} } ${pageInfoFields} total } } }`,
    in: z
      .object({ conversation_id: id, ...pageFields })
      .transform(({ conversation_id, ...page }) => ({ id: conversation_id, ...pageVariables(page) })),
    answer: answers.messages,
    out: (
      { conversation }: { conversation: { sourceId: string; messages: PageData & { nodes: MessageData[] } } | null },
      variables,
    ) => {
      if (!conversation) throw new NotFound('conversation', variables.id);
      const { messages, sourceId } = conversation;
      const place = { sourceId, conversationId: variables.id };
      return {
        data: messages.nodes.map((message) => messagePayload(message, place)),
        ...unfilteredAnswer(messages),
      };
    },
  }),

  'messages.send': row({
    says: 'Takes a message for delivery: to a conversation (conversation_id), or to somebody new (channel_id with source_recipient_id). The header Idempotency-Key, 1 to 255 characters, makes it safe to send again.',
    runs: `mutation ($input: SendMessageInput!) { sent: sendMessage(input: $input) { ${sentFields} } }`,
    faults: [413, 422],
    in: z
      .object({
        conversation_id: id.nullish(),
        channel_id: id.nullish(),
        source_recipient_id: optionalText,
        message: anyJson,
      })
      .transform(sendInput),
    renames: { content: 'message', 'recipient.sourceRecipientId': 'source_recipient_id' },
    headers: ({ input }, headers) => {
      const key = headers['idempotency-key'];
      return { input: { ...input, ...(typeof key === 'string' && { idempotencyKey: key }) } };
    },
    answer: answers.message,
    out: sentPayload,
  }),

  'channels.list': row({
    runs: `query ($sourceId: String) { connectedChannels(sourceId: $sourceId) { ${channelFields} } }`,
    in: z.object({ source: optionalText }).transform(({ source }) => ({ sourceId: source })),
    answer: answers.channels,
    out: ({ connectedChannels }: { connectedChannels: ChannelData[] }) => ({
      data: connectedChannels.map(channelPayload),
    }),
  }),

  'channels.disconnect': row({
    runs: 'mutation ($input: ChannelInput!) { disconnectChannel(input: $input) { changed } }',
    status: ({ disconnectChannel }: { disconnectChannel: { changed: boolean } }) =>
      disconnectChannel.changed ? 200 : 202,
    in: z.object({ channel_id: id }).transform((body) => ({ input: { channelId: body.channel_id } })),
    answer: answers.nothing,
    out: emptyObject,
    errors: { NOT_FOUND: 400 },
  }),

  'messages.resend': row({
    runs: `mutation ($input: MessageInput!) { sent: retryMessage(input: $input) { ${sentFields} } }`,
    faults: [409],
    in: z.object({ message_id: id }).transform((body) => ({ input: { messageId: body.message_id } })),
    answer: answers.message,
    out: sentPayload,
  }),

  'conversations.tag': row({
    runs: 'mutation ($input: TagConversationInput!) { tagConversation(input: $input) { changed } }',
    in: conversationAndTag,
    answer: answers.nothing,
    out: emptyObject,
  }),

  'conversations.untag': row({
    runs: 'mutation ($input: TagConversationInput!) { untagConversation(input: $input) { changed } }',
    in: conversationAndTag,
    answer: answers.nothing,
    out: emptyObject,
  }),

  'tags.create': row({
    runs: `mutation ($input: CreateTagInput!) { made: createTag(input: $input) { tag { ${tagFields} } } }`,
    status: 201,
    in: z.object({ name: text, color: tagColor }).transform((input) => ({ input })),
    answer: answers.tag,
    out: ({ made }: { made: { tag: TagData } }) => tagPayload(made.tag),
  }),

  'tags.update': row({
    runs: 'mutation ($input: UpdateTagInput!) { updateTag(input: $input) { tag { legacyId } } }',
    in: z
      .object({ id, name: optionalText, color: tagColor.nullish() })
      .transform(({ id: tagId, ...changes }) => ({ input: defined({ tagId, ...changes }) })),
    answer: answers.nothing,
    out: emptyObject,
  }),

  'tags.delete': row({
    runs: 'mutation ($input: TagInput!) { deleteTag(input: $input) { deletedId } }',
    in: z.object({ id }).transform((body) => ({ input: { tagId: body.id } })),
    answer: answers.nothing,
    out: emptyObject,
  }),

  'tags.list': row({
    runs: `query { tags { ${tagFields} } }`,
    in: nothing,
    answer: answers.tags,
    out({ tags }: { tags: TagData[] }) {
      const shown = tags.map(tagPayload);
      return { tags: shown, data: shown };
    },
  }),

  'metadata.set': row({
    says: 'Notes a fact about a conversation, shown as public.<key>; dots in the key nest.',
    runs: 'mutation ($input: SetMetadataInput!) { setMetadata(input: $input) { changed } }',
    in: z.object({ conversation_id: id, key: text, value: anyJson }).transform(({ conversation_id, ...fact }) => ({
      input: { subjectId: conversationNode(conversation_id), ...fact },
    })),
    answer: answers.nothing,
    out: emptyObject,
    errors: { NOT_FOUND: 400 },
  }),

  'metadata.remove': row({
    says: 'Removes a fact that was noted about a conversation.',
    runs: 'mutation ($input: SetMetadataInput!) { setMetadata(input: $input) { changed } }',
    in: z
      .object({ conversation_id: id, key: text })
      .transform(({ conversation_id, key }) => ({ input: { subjectId: conversationNode(conversation_id), key } })),
    answer: answers.nothing,
    out: emptyObject,
    errors: { NOT_FOUND: 400 },
  }),
};
