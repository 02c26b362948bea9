import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Args, ArgsType, Ctx, Field, FieldResolver, ID, Info, Query, Resolver, Root } from 'type-graphql';
import {
  type ConversationPage,
  conversationCursor,
  listConversations,
} from '../../../domain/messaging/conversations/conversation.list.service.ts';
import {
  fieldsOfAllColumns,
  findConversation,
  type LoadedConversation,
} from '../../../domain/messaging/conversations/conversation.service.ts';
import {
  type ConversationWithPage,
  findMessagesOf,
  messageCursor,
} from '../../../domain/messaging/messages/message.service.ts';
import { UserType } from '../../accounts/users/user.type.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { uuidOf } from '../../ids.ts';
import { onlySelected, selectsAny } from '../../lookahead.ts';
import { MessageConnection } from '../messages/message.type.ts';
import { ConversationConnection, ConversationType } from './conversation.type.ts';
import { ConversationFilterInput, filterInput } from './conversation-filter.type.ts';

/** Fields of a conversation that come with a page of its messages. */
const besideMessages = new Set(['__typename', 'id', 'legacyId', 'sourceId', 'messageCount']);

/** Totals stay functions, called when they are selected. What came with the page is not read again. */
export function conversationConnection(ctx: GraphCtx, page: ConversationPage) {
  ctx.loaders.remember(page.items);
  return toConversationConnection(page);
}

function toConversationConnection({ total, filteredTotal, unreadTotal, ...page }: ConversationPage) {
  return toConnection(page, conversationCursor, { total, filteredTotal, unreadTotal });
}

@ArgsType()
class ConversationsArgs extends PageArgs {
  @Field(() => ConversationFilterInput, { nullable: true, description: 'Which ones; all without it.' })
  filter?: ConversationFilterInput | null;
}

@Resolver(() => ConversationType)
export class ConversationResolver {
  @Query(() => ConversationConnection, { description: 'Conversations, newest activity first.' })
  async conversations(
    @Ctx() ctx: GraphCtx,
    @Info() info: GraphQLResolveInfo,
    @Args(() => ConversationsArgs) { filter, ...place }: ConversationsArgs,
  ) {
    const fewColumns = !selectsAny(info, fieldsOfAllColumns);
    const page = await listConversations(ctx, { ...place, filter: filter && filterInput(filter), fewColumns });
    return fewColumns ? toConversationConnection(page) : conversationConnection(ctx, page);
  }

  @Query(() => ConversationType, { nullable: true, description: 'One conversation; null for an unknown id.' })
  conversation(
    @Ctx() ctx: GraphCtx,
    @Info() info: GraphQLResolveInfo,
    @Arg('id', () => ID, { description: 'Its id.' }) id: string,
  ) {
    const conversationId = uuidOf('Conversation', id, 'id');
    // The most frequent question: a page of messages with what they show of their conversation.
    const page = onlySelected<PageArgs>(info, 'Conversation', { field: 'messages', others: besideMessages });
    return page ? findMessagesOf(ctx, conversationId, page) : findConversation(ctx, conversationId);
  }

  @FieldResolver(() => UserType, { nullable: true, description: 'Who holds it.' })
  assignee(@Ctx() ctx: GraphCtx, @Root() conversation: LoadedConversation) {
    return conversation.assigneeId && ctx.loaders.user.load(conversation.assigneeId);
  }

  @FieldResolver(() => MessageConnection, {
    description: 'Oldest first; pass last and before to start at the end, as an inbox does.',
  })
  async messages(
    @Ctx() ctx: GraphCtx,
    @Root() conversation: LoadedConversation | ConversationWithPage,
    @Args(() => PageArgs) args: PageArgs,
  ) {
    const page = 'page' in conversation ? conversation.page : await ctx.loaders.messagesOf(conversation.id, args);
    return toConnection(page, messageCursor, { total: conversation.messageCount });
  }
}
