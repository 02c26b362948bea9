import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, FieldResolver, Info, Mutation, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import { retryMessage, sendMessage } from '../../../domain/messaging/messages/message.send.service.ts';
import type { LoadedMessage } from '../../../domain/messaging/messages/message.service.ts';
import { suggestReplies } from '../../../domain/messaging/metadata/subject-metadata.service.ts';
import type { GraphCtx } from '../../context.ts';
import { optionalUuidOf, uuidOf } from '../../ids.ts';
import { isJsonObject } from '../../json-object.ts';
import { selectsOnly } from '../../lookahead.ts';
import { ConversationType } from '../conversations/conversation.type.ts';
import {
  MessageInput,
  MessagePayload,
  MessageType,
  SendMessageInput,
  SendMessagePayload,
  SuggestRepliesInput,
} from './message.type.ts';

@Resolver(() => MessageType)
export class MessageResolver {
  @Mutation(() => SendMessagePayload, {
    description:
      'Takes a message for delivery; its state follows in the subscriptions. NOT_FOUND, FORBIDDEN for a disconnected channel or an unknown one of a recipient, IDEMPOTENCY_MISMATCH.',
  })
  async sendMessage(@Ctx() ctx: GraphCtx, @Arg('input', () => SendMessageInput) input: SendMessageInput) {
    const message = await sendMessage(ctx, {
      conversationId: optionalUuidOf('Conversation', input.conversationId, 'conversationId'),
      recipient: input.recipient && {
        ...input.recipient,
        channelId: uuidOf('Channel', input.recipient.channelId, 'recipient.channelId'),
      },
      content: contentOf(input),
      idempotencyKey: input.idempotencyKey,
    });
    return { message };
  }

  @Mutation(() => SendMessagePayload, { description: 'Sends a failed message again. CONFLICT when it did not fail.' })
  async retryMessage(@Ctx() ctx: GraphCtx, @Arg('input', () => MessageInput) input: MessageInput) {
    return { message: await retryMessage(ctx, { messageId: uuidOf('Message', input.messageId, 'messageId') }) };
  }

  @Mutation(() => MessagePayload, {
    description: 'Puts replies to a message in the place of those suggested before. NOT_FOUND.',
  })
  async suggestReplies(@Ctx() ctx: GraphCtx, @Arg('input', () => SuggestRepliesInput) input: SuggestRepliesInput) {
    const messageId = uuidOf('Message', input.messageId, 'messageId');
    const { suggestions } = input;
    if (!isJsonObject(suggestions)) throw new InvalidInput('suggestions', 'must be an object');
    const changed = await suggestReplies(ctx, { messageId, suggestions });
    return { message: await ctx.loaders.message.clear(messageId).load(messageId), changed };
  }

  @FieldResolver(() => ConversationType, { description: 'Where it belongs.' })
  async conversation(@Ctx() ctx: GraphCtx, @Info() info: GraphQLResolveInfo, @Root() message: LoadedMessage) {
    const { conversationId: id } = message;
    if (!selectsOnly(info, knownOfConversation)) return ctx.loaders.conversation.load(id);
    // Its ids need no look at the conversation.
    return { id, legacyId: id, sourceId: (await ctx.loaders.source.load(message.source))?.sourceId };
  }
}

const knownOfConversation = new Set(['__typename', 'id', 'legacyId', 'sourceId']);

function contentOf({ text, content }: SendMessageInput): unknown {
  if ((text == null) === (content == null)) throw new InvalidInput('text', 'give either text or content');
  return text == null ? content : { text };
}
