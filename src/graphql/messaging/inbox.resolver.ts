import {
  Arg,
  Ctx,
  createUnionType,
  Field,
  FieldResolver,
  ID,
  InterfaceType,
  ObjectType,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import { allow } from '../../domain/access.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { getConversation } from '../../domain/messaging/conversations/conversation.service.ts';
import type { GraphCtx } from '../context.ts';
import { globalId, uuidOf } from '../ids.ts';
import { type LivePayload, liveFields } from '../live-fields.ts';
import { plainFields, tellMembers } from '../plain-fields.ts';
import { CursorScalar, DateTimeScalar } from '../scalars.ts';
import { ChannelType } from './channels/channel.type.ts';
import { ConversationType } from './conversations/conversation.type.ts';
import { MessageType } from './messages/message.type.ts';
import { TagType } from './tags/tag.type.ts';

type Told = Extract<LivePayload, { kind: 'event' }>;

@InterfaceType('Event', { description: 'Something that happened.' })
export abstract class EventType {
  @Field(() => CursorScalar, { description: 'Pass the last one seen as `after` when subscribing again.' })
  cursor!: string;

  @Field(() => DateTimeScalar, { description: 'When.' })
  at!: Date;
}

@ObjectType({ implements: EventType, description: 'A message was stored, or changed its state or metadata.' })
class MessageEvent extends EventType {
  @Field(() => Boolean, { description: 'False for a change.' })
  created!: boolean;
}

@ObjectType({ implements: EventType, description: 'A conversation began or changed.' })
class ConversationEvent extends EventType {
  @Field(() => Boolean, { description: 'False for a change.' })
  created!: boolean;
}

@ObjectType({ implements: EventType, description: 'A channel was made, connected, disconnected or changed.' })
class ChannelEvent extends EventType {}

@ObjectType({ implements: EventType, description: 'A tag was made, changed or deleted.' })
class TagEvent extends EventType {
  @Field(() => ID, { nullable: true, description: 'The id of a deleted one.' })
  deletedId!: string | null;
}

@ObjectType({
  implements: EventType,
  simpleResolvers: true,
  description:
    'The cursor asked for is older than the log, or of another one: load the lists again, then go on from here.',
})
export class ResetEvent extends EventType {
  @Field(() => String, { description: 'Why.' })
  reason!: string;
}

const isCreated = (payload: Told): boolean => payload.event.kind.endsWith('.created');
plainFields<Told>('MessageEvent', { created: isCreated });
plainFields<Told>('ConversationEvent', { created: isCreated });
plainFields<Told>('TagEvent', {
  deletedId: ({ event }) => (event.kind === 'tag.deleted' ? globalId('Tag', event.payload.tagId) : null),
});

function eventTypeOf(payload: LivePayload): string {
  if (payload.kind === 'reset') return 'ResetEvent';
  const subject = payload.event.kind.split('.')[0]!;
  return `${subject.charAt(0).toUpperCase()}${subject.slice(1)}Event`;
}

const InboxEvent = createUnionType({
  name: 'InboxEvent',
  description: 'What an inbox hears of.',
  types: () => [MessageEvent, ConversationEvent, ChannelEvent, TagEvent, ResetEvent] as const,
});

const ConversationStreamEvent = createUnionType({
  name: 'ConversationStreamEvent',
  description: 'What happens in one conversation.',
  types: () => [MessageEvent, ConversationEvent, ResetEvent] as const,
});

for (const name of ['InboxEvent', 'ConversationStreamEvent', 'Event']) tellMembers<LivePayload>(name, eventTypeOf);

const inboxKinds = new Set(['message', 'conversation', 'channel', 'tag']);
const subjectOf = (event: LoggedEvent): string => event.kind.split('.')[0]!;

liveFields.set('inbox', {
  open: async (ctx) => allow(ctx, 'Subscription.inbox'),
  wants: async (_, event) => inboxKinds.has(subjectOf(event)),
});

liveFields.set('conversation', {
  async open(ctx, args) {
    allow(ctx, 'Subscription.conversation');
    await getConversation(ctx, uuidOf('Conversation', String(args.id), 'id'));
  },
  wants: async (_, event, args) => event.conversationId === uuidOf('Conversation', String(args.id), 'id'),
  conversationId: (args) => uuidOf('Conversation', String(args.id), 'id'),
});

// The streams are run by `live.ts`, which executes once for each group of equal subscribers.
export const ranByLive = () => {
  throw new Error('subscriptions are run by live.ts');
};
const afterArg = { nullable: true, description: 'A cursor: what came after it is told first.' } as const;

@Resolver()
export class InboxResolver {
  @Subscription(() => InboxEvent, {
    subscribe: ranByLive,
    description: 'Everything an inbox needs to stay right, in one stream.',
  })
  inbox(@Root() payload: LivePayload, @Arg('after', () => CursorScalar, afterArg) _after?: string): LivePayload {
    return payload;
  }

  @Subscription(() => ConversationStreamEvent, {
    subscribe: ranByLive,
    description: 'One open conversation: new messages, delivery states, edits.',
  })
  conversation(
    @Root() payload: LivePayload,
    @Arg('id', () => ID, { description: 'Its id.' }) _id: string,
    @Arg('after', () => CursorScalar, afterArg) _after?: string,
  ): LivePayload {
    return payload;
  }
}

@Resolver(() => MessageEvent)
export class MessageEventResolver {
  @FieldResolver(() => MessageType, { description: 'The message as it is now.' })
  message(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return 'messageId' in event.payload ? ctx.loaders.message.load(event.payload.messageId) : null;
  }
}

@Resolver(() => ConversationEvent)
export class ConversationEventResolver {
  @FieldResolver(() => ConversationType, { description: 'The conversation as it is now.' })
  conversation(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return event.conversationId && ctx.loaders.conversation.load(event.conversationId);
  }
}

@Resolver(() => ChannelEvent)
export class ChannelEventResolver {
  @FieldResolver(() => ChannelType, { description: 'The channel as it is now.' })
  channel(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return 'channelId' in event.payload ? ctx.loaders.channel.load(event.payload.channelId) : null;
  }
}

@Resolver(() => TagEvent)
export class TagEventResolver {
  @FieldResolver(() => TagType, { nullable: true, description: 'The tag as it is now; null for a deleted one.' })
  tag(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return 'tagId' in event.payload && event.kind !== 'tag.deleted' ? ctx.loaders.tag.load(event.payload.tagId) : null;
  }
}
