import { z } from 'zod';
import { NotFound } from '../../domain/errors.ts';
import { type Row, row } from '../run-row.ts';
import {
  anyJson,
  id,
  optionalText,
  type PageInfoData,
  pageAnswer,
  pageFields,
  pageVariables,
  text,
} from './airy.inputs.ts';
import {
  type ChannelData,
  type ConversationData,
  channelPayload,
  conversationFields,
  conversationPayload,
  type MessageData,
  messageFields,
  messagePayload,
} from './airy.payloads.ts';

interface SessionData {
  session: { token: string; user: { legacyId: string; firstName: string; lastName: string } };
}

const sessionPayload = ({ session: { token, user } }: SessionData) => ({
  id: user.legacyId,
  first_name: user.firstName,
  last_name: user.lastName,
  token,
});

const sessionFields = 'token user { legacyId firstName lastName }';
const emptyObject = () => ({});

interface PageData {
  pageInfo: PageInfoData;
  total: number | null;
}

interface SentData {
  sent: { message: MessageData & { conversation: { legacyId: string; sourceId: string } } };
}

const sentFields = `message { ${messageFields} conversation { legacyId sourceId } }`;
const sentPayload = ({ sent: { message } }: SentData) =>
  messagePayload(message, { sourceId: message.conversation.sourceId, conversationId: message.conversation.legacyId });

const pageInfoFields = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const pageParameters = '$first: Int, $after: Cursor, $last: Int, $before: Cursor';
const pageArguments = 'first: $first, after: $after, last: $last, before: $before';

/** Endpoints of the HTTP document, and those around accounts. @see contracts, sections 2 and 6 */
export const airyCore: Record<string, Row> = {
  'users.signup': row({
    runs: `mutation ($input: SignUpInput!) { session: signUp(input: $input) { ${sessionFields} } }`,
    in: z
      .object({ email: text, password: text, first_name: text, last_name: text })
      .transform(({ first_name: firstName, last_name: lastName, ...rest }) => ({
        input: { ...rest, firstName, lastName },
      })),
    out: sessionPayload,
    // An e-mail that is in use already.
    errors: { CONFLICT: 401 },
  }),

  'users.login': row({
    runs: `mutation ($input: LogInInput!) { session: logIn(input: $input) { ${sessionFields} } }`,
    in: z.object({ email: text, password: text }).transform((input) => ({ input })),
    out: sessionPayload,
    errors: { UNAUTHENTICATED: 401 },
  }),

  'users.password-reset': row({
    runs: 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { done } }',
    in: z
      .object({ token: text, new_password: text })
      .transform(({ token, new_password: newPassword }) => ({ input: { token, newPassword } })),
    out: emptyObject,
  }),

  'users.request-password-reset': row({
    runs: 'mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { done } }',
    in: z.object({ email: text }).transform((input) => ({ input })),
    out: emptyObject,
  }),

  'conversations.list': row({
    runs: `query (${pageParameters}) { conversations(${pageArguments}) {
      nodes { ${conversationFields} } ${pageInfoFields} total filteredTotal unreadTotal } }`,
    in: z
      .object({
        ...pageFields,
        filters: z.literal('', 'filters are not offered yet: leave the field out or empty').nullish(),
      })
      .transform(pageVariables),
    out: ({
      conversations,
    }: {
      conversations: PageData & { nodes: ConversationData[]; filteredTotal: number | null; unreadTotal: number | null };
    }) => ({
      data: conversations.nodes.map(conversationPayload),
      ...pageAnswer(conversations.pageInfo, conversations, { badge_unread_count: conversations.unreadTotal }),
    }),
  }),

  'conversations.info': row({
    runs: `query ($id: ID!) { conversation(id: $id) { ${conversationFields} } }`,
    in: z.object({ conversation_id: id }).transform((body) => ({ id: body.conversation_id })),
    out: ({ conversation }: { conversation: ConversationData | null }, variables) => {
      if (!conversation) throw new NotFound('conversation', variables.id);
      return conversationPayload(conversation);
    },
  }),

  'conversations.read': row({
    runs: 'mutation ($input: ConversationInput!) { markConversationRead(input: $input) { changed } }',
    status: 202,
    in: z.object({ conversation_id: id }).transform((body) => ({ input: { conversationId: body.conversation_id } })),
    out: emptyObject,
  }),

  'messages.list': row({
    runs: `query ($id: ID!, ${pageParameters}) { conversation(id: $id) { sourceId messages(${pageArguments}) {
      nodes { ${messageFields} } ${pageInfoFields} total } } }`,
    in: z
      .object({ conversation_id: id, ...pageFields })
      .transform(({ conversation_id, ...page }) => ({ id: conversation_id, ...pageVariables(page) })),
    out: (
      { conversation }: { conversation: { sourceId: string; messages: PageData & { nodes: MessageData[] } } | null },
      variables,
    ) => {
      if (!conversation) throw new NotFound('conversation', variables.id);
      const { messages, sourceId } = conversation;
      const place = { sourceId, conversationId: variables.id };
      return {
        data: messages.nodes.map((message) => messagePayload(message, place)),
        ...pageAnswer(messages.pageInfo, { total: messages.total, filteredTotal: messages.total }),
      };
    },
  }),

  'messages.send': row({
    runs: `mutation ($input: SendMessageInput!) { sent: sendMessage(input: $input) { ${sentFields} } }`,
    in: z
      .object({ conversation_id: id, message: anyJson })
      .transform((body) => ({ input: { conversationId: body.conversation_id, content: body.message } })),
    headers: ({ input }, headers) => {
      const key = headers['idempotency-key'];
      return { input: { ...input, ...(typeof key === 'string' && { idempotencyKey: key }) } };
    },
    out: sentPayload,
  }),

  'channels.list': row({
    runs: `query ($sourceId: String) { connectedChannels(sourceId: $sourceId) {
      legacyId name sourceChannelId connected imageUrl metadata sourceId } }`,
    in: z.object({ source: optionalText }).transform(({ source }) => ({ sourceId: source })),
    out: ({ connectedChannels }: { connectedChannels: ChannelData[] }) => ({
      data: connectedChannels.map(channelPayload),
    }),
  }),

  'channels.disconnect': row({
    runs: 'mutation ($input: ChannelInput!) { disconnectChannel(input: $input) { changed } }',
    status: ({ disconnectChannel }: { disconnectChannel: { changed: boolean } }) =>
      disconnectChannel.changed ? 200 : 202,
    in: z.object({ channel_id: id }).transform((body) => ({ input: { channelId: body.channel_id } })),
    out: emptyObject,
    errors: { NOT_FOUND: 400 },
  }),

  'messages.resend': row({
    runs: `mutation ($input: MessageInput!) { sent: retryMessage(input: $input) { ${sentFields} } }`,
    in: z.object({ message_id: id }).transform((body) => ({ input: { messageId: body.message_id } })),
    out: sentPayload,
  }),
};
