import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import {
  assign,
  markRead,
  nameContact,
  refetchContact,
  setState,
  tag,
  untag,
} from '../../../domain/messaging/conversations/conversation.change.service.ts';
import type { GraphCtx } from '../../context.ts';
import { optionalUuidOf, uuidOf } from '../../ids.ts';
import {
  AssignConversationInput,
  ConversationInput,
  ConversationPayload,
  NameConversationContactInput,
  SetConversationStateInput,
  TagConversationInput,
} from './conversation-change.type.ts';

const conversationIdOf = (input: ConversationInput) => uuidOf('Conversation', input.conversationId, 'conversationId');

@Resolver()
export class ConversationChangeResolver {
  @Mutation(() => ConversationPayload, {
    description: 'Sets the unread count to 0 for all received up to now. NOT_FOUND.',
  })
  markConversationRead(@Ctx() ctx: GraphCtx, @Arg('input', () => ConversationInput) input: ConversationInput) {
    return markRead(ctx, { conversationId: conversationIdOf(input) });
  }

  @Mutation(() => ConversationPayload, { description: 'Opens, snoozes or closes a conversation. NOT_FOUND.' })
  setConversationState(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => SetConversationStateInput) input: SetConversationStateInput,
  ) {
    return setState(ctx, { conversationId: conversationIdOf(input), state: input.state });
  }

  @Mutation(() => ConversationPayload, {
    description: 'Gives a conversation to a person, or takes it away from them. NOT_FOUND, also for who is not active.',
  })
  assignConversation(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => AssignConversationInput) input: AssignConversationInput,
  ) {
    const userId = optionalUuidOf('User', input.userId, 'userId') ?? null;
    return assign(ctx, { conversationId: conversationIdOf(input), userId });
  }

  @Mutation(() => ConversationPayload, { description: 'Puts a tag on a conversation. NOT_FOUND.' })
  tagConversation(@Ctx() ctx: GraphCtx, @Arg('input', () => TagConversationInput) input: TagConversationInput) {
    return tag(ctx, { conversationId: conversationIdOf(input), tagId: uuidOf('Tag', input.tagId, 'tagId') });
  }

  @Mutation(() => ConversationPayload, { description: 'Takes a tag from a conversation. NOT_FOUND.' })
  untagConversation(@Ctx() ctx: GraphCtx, @Arg('input', () => TagConversationInput) input: TagConversationInput) {
    return untag(ctx, { conversationId: conversationIdOf(input), tagId: uuidOf('Tag', input.tagId, 'tagId') });
  }

  @Mutation(() => ConversationPayload, {
    description: 'Names the contact; where there is none yet, as soon as there is one. NOT_FOUND.',
  })
  nameConversationContact(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => NameConversationContactInput) input: NameConversationContactInput,
  ) {
    return nameContact(ctx, { conversationId: conversationIdOf(input), displayName: input.displayName });
  }

  @Mutation(() => ConversationPayload, {
    description: "Loads the contact's profile again from the platform, where its source has a connector. NOT_FOUND.",
  })
  refetchConversationContact(@Ctx() ctx: GraphCtx, @Arg('input', () => ConversationInput) input: ConversationInput) {
    return refetchContact(ctx, { conversationId: conversationIdOf(input) });
  }
}
