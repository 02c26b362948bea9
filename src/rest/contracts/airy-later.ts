import { z } from 'zod';
import { globalId } from '../../graphql/execute.ts';
import { type Row, row } from '../run-row.ts';
import * as answers from './airy.answers.ts';
import { conversationOnly, id, jsonObject, oneOf, text } from './airy.inputs.ts';
import { type SentData, sentFields, sentPayload } from './airy.payloads.ts';

const setState = 'mutation ($input: SetConversationStateInput!) { setConversationState(input: $input) { changed } }';

const markRead = row({
  runs: 'mutation ($input: ConversationInput!) { markConversationRead(input: $input) { changed } }',
  status: 204,
  in: conversationOnly,
});

const setStateRow = row({
  runs: setState,
  status: 204,
  in: z
    .object({ conversation_id: id, state: oneOf('OPEN', 'SNOOZED', 'CLOSED') })
    .transform(({ conversation_id: conversationId, state }) => ({ input: { conversationId, state } })),
});

const removeState = row({
  says: 'Opens a conversation again, whatever its state was.',
  runs: setState,
  status: 204,
  in: z
    .object({ conversation_id: id })
    .transform((body) => ({ input: { conversationId: body.conversation_id, state: 'OPEN' } })),
});

const updateContact = row({
  runs: `mutation ($input: NameConversationContactInput!) {
    nameConversationContact(input: $input) { changed } }`,
  status: 204,
  in: z
    .object({ conversation_id: id, display_name: text })
    .transform((body) => ({ input: { conversationId: body.conversation_id, displayName: body.display_name } })),
});

const suggestReplies = row({
  runs: `mutation ($input: SuggestRepliesInput!) { sent: suggestReplies(input: $input) { ${sentFields} } }`,
  in: z
    .object({ message_id: id, suggestions: jsonObject })
    .transform(({ message_id: messageId, suggestions }) => ({ input: { messageId, suggestions } })),
  answer: answers.message,
  out: (data: SentData) => sentPayload(data),
});

const subjects: Record<string, string> = { conversation: 'Conversation', message: 'Message', channel: 'Channel' };

/** Endpoints that came with later versions of Airy Core, with the second spelling that some clients use. */
export const airyLater: Record<string, Row> = {
  'conversations.mark-read': markRead,
  'conversations.markRead': markRead,
  'conversations.set-state': setStateRow,
  'conversations.setState': setStateRow,
  'conversations.remove-state': removeState,
  'conversations.removeState': removeState,
  'conversations.update-contact': updateContact,
  'conversations.updateContact': updateContact,

  'conversations.refetch': row({
    runs: 'mutation ($input: ConversationInput!) { refetchConversationContact(input: $input) { changed } }',
    status: 202,
    in: conversationOnly,
    answer: answers.nothing,
    out: () => ({}),
  }),

  'messages.suggest-replies': suggestReplies,
  'messages.suggestReplies': suggestReplies,

  'metadata.upsert': row({
    runs: 'mutation ($input: MergeUserDataInput!) { mergeUserData(input: $input) { changed } }',
    status: 204,
    in: z
      .object({ subject: oneOf('message', 'conversation', 'channel'), id, data: jsonObject })
      .transform((body) => ({ input: { subjectId: globalId(subjects[body.subject]!, body.id), data: body.data } })),
    errors: { NOT_FOUND: 400 },
  }),
};
