import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import type { Message } from '../../../domain/messaging/messages/message.entity.ts';
import { retryMessage, sendMessage } from '../../../domain/messaging/messages/message.send.service.ts';
import type { GraphCtx } from '../../context.ts';
import { uuidOf } from '../../ids.ts';
import { ConversationType } from '../conversations/conversation.type.ts';
import { MessageInput, MessageType, SendMessageInput, SendMessagePayload } from './message.type.ts';

@Resolver(() => MessageType)
export class MessageResolver {
  @Mutation(() => SendMessagePayload, {
    description:
      'Takes a message for delivery; its state follows in the subscriptions. NOT_FOUND, FORBIDDEN for a disconnected channel, IDEMPOTENCY_MISMATCH.',
  })
  async sendMessage(@Ctx() ctx: GraphCtx, @Arg('input', () => SendMessageInput) input: SendMessageInput) {
    const message = await sendMessage(ctx, {
      conversationId: uuidOf('Conversation', input.conversationId, 'conversationId'),
      content: contentOf(input),
      idempotencyKey: input.idempotencyKey,
    });
    return { message };
  }

  @Mutation(() => SendMessagePayload, { description: 'Sends a failed message again. CONFLICT when it did not fail.' })
  async retryMessage(@Ctx() ctx: GraphCtx, @Arg('input', () => MessageInput) input: MessageInput) {
    return { message: await retryMessage(ctx, { messageId: uuidOf('Message', input.messageId, 'messageId') }) };
  }

  @FieldResolver(() => ConversationType, { description: 'Where it belongs.' })
  conversation(@Ctx() ctx: GraphCtx, @Root() message: Message) {
    return ctx.loaders.conversation.load(message.conversationId);
  }
}

function contentOf({ text, content }: SendMessageInput): unknown {
  if ((text == null) === (content == null)) throw new InvalidInput('text', 'give either text or content');
  return text == null ? content : { text };
}
