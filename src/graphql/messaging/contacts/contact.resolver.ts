import { Args, Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import type { ShownContact } from '../../../domain/messaging/contacts/contact.service.ts';
import { PageArgs } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { conversationConnection } from '../conversations/conversation.resolver.ts';
import { ConversationConnection } from '../conversations/conversation.type.ts';
import { ContactType } from './contact.type.ts';

@Resolver(() => ContactType)
export class ContactResolver {
  @FieldResolver(() => ConversationConnection, { description: 'Their conversations, newest activity first.' })
  async conversations(@Ctx() ctx: GraphCtx, @Root() contact: ShownContact, @Args(() => PageArgs) args: PageArgs) {
    return conversationConnection(ctx, await ctx.loaders.conversationsOf(contact.id, args));
  }
}
