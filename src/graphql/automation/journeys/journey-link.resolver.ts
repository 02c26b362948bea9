import {
  Arg,
  Args,
  Ctx,
  createUnionType,
  FieldResolver,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import { allow, linkOf } from '../../../domain/access.ts';
import { sendLinkedMessage } from '../../../domain/automation/journeys/journey.link.send.service.ts';
import {
  getLinkedConversation,
  isLinkHeld,
  listLinkedMessages,
  openJourneyLink,
} from '../../../domain/automation/journeys/journey.link.service.ts';
import { messageCursor } from '../../../domain/messaging/messages/message.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { type LivePayload, liveFields } from '../../live-fields.ts';
import { EventType, ResetEvent, ranByLive } from '../../messaging/inbox.resolver.ts';
import { tellMembers } from '../../plain-fields.ts';
import { CursorScalar } from '../../scalars.ts';
import {
  LinkedConversationType,
  LinkedMessageConnection,
  LinkedMessageType,
  OpenJourneyLinkInput,
  OpenJourneyLinkPayload,
  SendLinkedMessageInput,
  SendLinkedMessagePayload,
} from './journey-link.type.ts';

type Told = Extract<LivePayload, { kind: 'event' }>;

liveFields.set('linkedMessages', {
  open: async (ctx) => allow(ctx, 'Subscription.linkedMessages'),
  wants: async (ctx, event) =>
    event.kind === 'message.created' && event.conversationId === linkOf(ctx).conversationId && isLinkHeld(ctx),
  conversationId: (_, principal) => linkOf({ principal }).conversationId,
});

@ObjectType({ implements: EventType, description: 'A message was stored.' })
class LinkedMessageEvent extends EventType {}

const LinkedStreamEvent = createUnionType({
  name: 'LinkedStreamEvent',
  description: 'What the contact of a conversation hears of it.',
  types: () => [LinkedMessageEvent, ResetEvent] as const,
});
tellMembers<LivePayload>('LinkedStreamEvent', ({ kind }) => (kind === 'reset' ? 'ResetEvent' : 'LinkedMessageEvent'));

@Resolver(() => LinkedConversationType)
export class JourneyLinkResolver {
  @Mutation(() => OpenJourneyLinkPayload, {
    description: 'Opens the link of a journey, without a login. NOT_FOUND for one that is unknown or over.',
  })
  openJourneyLink(@Ctx() ctx: GraphCtx, @Arg('input', () => OpenJourneyLinkInput) input: OpenJourneyLinkInput) {
    return openJourneyLink(ctx, input);
  }

  @Query(() => LinkedConversationType, { description: 'The conversation of the link whose token this is.' })
  linkedConversation(@Ctx() ctx: GraphCtx) {
    return getLinkedConversation(ctx);
  }

  @FieldResolver(() => LinkedMessageConnection, { description: 'Its messages, oldest to latest.' })
  async messages(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) page: PageArgs) {
    return toConnection(await listLinkedMessages(ctx, page), messageCursor, {});
  }

  @Mutation(() => SendLinkedMessagePayload, {
    description:
      'A message of the contact, as if the source had brought it; 30 within a minute. RATE_LIMITED, FORBIDDEN for a disconnected channel.',
  })
  async sendLinkedMessage(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => SendLinkedMessageInput) input: SendLinkedMessageInput,
  ) {
    return { message: await sendLinkedMessage(ctx, input) };
  }

  @Subscription(() => LinkedStreamEvent, {
    subscribe: ranByLive,
    description: 'New messages of the conversation of the link whose token this is.',
  })
  linkedMessages(
    @Root() payload: LivePayload,
    @Arg('after', () => CursorScalar, {
      nullable: true,
      description: 'A cursor: what came after it is told first.',
    })
    _after?: string,
  ): LivePayload {
    return payload;
  }
}

@Resolver(() => LinkedMessageEvent)
export class LinkedMessageEventResolver {
  @FieldResolver(() => LinkedMessageType, { description: 'The message.' })
  message(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return 'messageId' in event.payload ? ctx.loaders.message.load(event.payload.messageId) : null;
  }
}
