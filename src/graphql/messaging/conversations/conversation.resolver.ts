import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import {
  type ConversationPage,
  conversationCursor,
  findConversation,
  type LoadedConversation,
  listConversations,
  markRead,
} from '../../../domain/messaging/conversations/conversation.service.ts';
import { messageCursor } from '../../../domain/messaging/messages/message.service.ts';
import { UserType } from '../../accounts/users/user.type.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { uuidOf } from '../../ids.ts';
import { MessageConnection } from '../messages/message.type.ts';
import {
  ConversationConnection,
  ConversationInput,
  ConversationPayload,
  ConversationType,
} from './conversation.type.ts';

/** Totals stay functions, called when they are selected. What came with the page is not read again. */
export function conversationConnection(
  ctx: GraphCtx,
  { total, filteredTotal, unreadTotal, ...page }: ConversationPage,
) {
  for (const conversation of page.items) {
    ctx.loaders.conversation.prime(conversation.id, conversation);
    if (conversation.contact) ctx.loaders.contact.prime(conversation.contact.id, conversation.contact);
  }
  return { ...toConnection(page, conversationCursor), total, filteredTotal, unreadTotal };
}

@Resolver(() => ConversationType)
export class ConversationResolver {
  @Query(() => ConversationConnection, { description: 'Conversations, newest activity first.' })
  async conversations(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) args: PageArgs) {
    return conversationConnection(ctx, await listConversations(ctx, args));
  }

  @Query(() => ConversationType, { nullable: true, description: 'One conversation; null for an unknown id.' })
  conversation(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its id.' }) id: string) {
    return findConversation(ctx, uuidOf('Conversation', id, 'id'));
  }

  @Mutation(() => ConversationPayload, {
    description: 'Sets the unread count to 0 for all received up to now. NOT_FOUND.',
  })
  markConversationRead(@Ctx() ctx: GraphCtx, @Arg('input', () => ConversationInput) input: ConversationInput) {
    return markRead(ctx, { conversationId: uuidOf('Conversation', input.conversationId, 'conversationId') });
  }

  @FieldResolver(() => UserType, { nullable: true, description: 'Who holds it.' })
  assignee(@Ctx() ctx: GraphCtx, @Root() conversation: LoadedConversation) {
    return conversation.assigneeId && ctx.loaders.user.load(conversation.assigneeId);
  }

  @FieldResolver(() => MessageConnection, {
    description: 'Oldest first; pass last and before to start at the end, as an inbox does.',
  })
  async messages(@Ctx() ctx: GraphCtx, @Root() conversation: LoadedConversation, @Args(() => PageArgs) args: PageArgs) {
    const page = await ctx.loaders.messagesOf(conversation.id, args);
    return { ...toConnection(page, messageCursor), total: conversation.messageCount };
  }
}
