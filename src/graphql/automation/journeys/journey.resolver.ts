import {
  Arg,
  Args,
  Ctx,
  createUnionType,
  FieldResolver,
  ID,
  Int,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import { allow } from '../../../domain/access.ts';
import {
  findJourney,
  type Journey,
  journeyCursor,
  journeyLink,
  listJourneys,
} from '../../../domain/automation/journeys/journey.read.service.ts';
import {
  abortJourney,
  deliverJourneyEvent,
  type JourneyMatch,
  startJourney,
} from '../../../domain/automation/journeys/journey.service.ts';
import { InvalidInput, NotFound } from '../../../domain/errors.ts';
import { toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { optionalUuidOf, uuidOf } from '../../ids.ts';
import { type LivePayload, liveFields } from '../../live-fields.ts';
import { ContactType } from '../../messaging/contacts/contact.type.ts';
import { ConversationType } from '../../messaging/conversations/conversation.type.ts';
import { EventType, ResetEvent, ranByLive } from '../../messaging/inbox.resolver.ts';
import { tellMembers } from '../../plain-fields.ts';
import { CursorScalar } from '../../scalars.ts';
import { FlowType } from '../flows/flow.type.ts';
import {
  AbortJourneyInput,
  AbortJourneyPayload,
  DeliverJourneyEventInput,
  JourneyConnection,
  JourneyEventType,
  JourneyIdentifierType,
  JourneyPayload,
  JourneysArgs,
  JourneyType,
  StartJourneyInput,
} from './journey.type.ts';

type Told = Extract<LivePayload, { kind: 'event' }>;

const journeyOf = (text: unknown) => uuidOf('Journey', String(text), 'id');

liveFields.set('journeyProgress', {
  async open(ctx, args) {
    allow(ctx, 'Subscription.journeyProgress');
    const id = journeyOf(args.id);
    if (!(await findJourney(ctx, id))) throw new NotFound('journey', id);
  },
  wants: async (_, event, args) => event.kind === 'journey.updated' && event.payload.journeyId === journeyOf(args.id),
});

@ObjectType({ implements: EventType, description: 'A journey moved: another step, a wait, or its end.' })
class JourneyProgressEvent extends EventType {}

const JourneyStreamEvent = createUnionType({
  name: 'JourneyStreamEvent',
  description: 'The progress of one journey.',
  types: () => [JourneyProgressEvent, ResetEvent] as const,
});
tellMembers<LivePayload>('JourneyStreamEvent', ({ kind }) =>
  kind === 'reset' ? 'ResetEvent' : 'JourneyProgressEvent',
);

@Resolver(() => JourneyType)
export class JourneyResolver {
  @Query(() => JourneyConnection, { description: 'Journeys, the newest first.' })
  async journeys(@Ctx() ctx: GraphCtx, @Args(() => JourneysArgs) args: JourneysArgs) {
    const flowId = optionalUuidOf('Flow', args.flowId, 'flowId');
    return toConnection(await listJourneys(ctx, { ...args, flowId }), journeyCursor, {});
  }

  @Query(() => JourneyType, { nullable: true, description: 'One journey; null for an unknown id.' })
  journey(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its id.' }) id: string) {
    return findJourney(ctx, journeyOf(id));
  }

  @Mutation(() => JourneyPayload, {
    description: 'Starts a journey of the published version of a flow. NOT_FOUND, CONFLICT when none is published.',
  })
  async startJourney(@Ctx() ctx: GraphCtx, @Arg('input', () => StartJourneyInput) input: StartJourneyInput) {
    const journey = await startJourney(ctx, {
      flowId: uuidOf('Flow', input.flowId, 'flowId'),
      start: input.start,
      contactId: optionalUuidOf('Contact', input.contactId, 'contactId'),
      conversationId: optionalUuidOf('Conversation', input.conversationId, 'conversationId'),
      identifiers: input.identifiers,
    });
    return { journey };
  }

  @Mutation(() => JourneyPayload, {
    description: 'Hands an event to a journey. NOT_FOUND, CONFLICT when it has ended or 1,000 events wait for it.',
  })
  async deliverJourneyEvent(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => DeliverJourneyEventInput) input: DeliverJourneyEventInput,
  ) {
    const { name, payload, dedupeKey } = input;
    return { journey: await deliverJourneyEvent(ctx, { match: matchOf(input), name, payload, dedupeKey }) };
  }

  @Mutation(() => AbortJourneyPayload, { description: 'Ends a journey that runs; its timers are void. NOT_FOUND.' })
  abortJourney(@Ctx() ctx: GraphCtx, @Arg('input', () => AbortJourneyInput) { journeyId, reason }: AbortJourneyInput) {
    return abortJourney(ctx, { journeyId: uuidOf('Journey', journeyId, 'journeyId'), reason });
  }

  @Subscription(() => JourneyStreamEvent, { subscribe: ranByLive, description: 'The progress of one journey.' })
  journeyProgress(
    @Root() payload: LivePayload,
    @Arg('id', () => ID, { description: 'Its id.' }) _id: string,
    @Arg('after', () => CursorScalar, {
      nullable: true,
      description: 'A cursor: what came after it is told first.',
    })
    _after?: string,
  ): LivePayload {
    return payload;
  }

  @FieldResolver(() => FlowType, { description: 'Its flow.' })
  flow(@Ctx() ctx: GraphCtx, @Root() { flowId }: Journey) {
    return ctx.loaders.flow.load(flowId);
  }

  @FieldResolver(() => ContactType, { nullable: true, description: 'Whom it is about.' })
  contact(@Ctx() ctx: GraphCtx, @Root() { contactId }: Journey) {
    return contactId === null ? null : ctx.loaders.contact.load(contactId);
  }

  @FieldResolver(() => ConversationType, { nullable: true, description: 'The conversation that it is bound to.' })
  conversation(@Ctx() ctx: GraphCtx, @Root() { conversationId }: Journey) {
    return conversationId === null ? null : ctx.loaders.conversation.load(conversationId);
  }

  @FieldResolver(() => JourneyType, { nullable: true, description: 'The journey that took its place.' })
  replacedBy(@Ctx() ctx: GraphCtx, @Root() { replacedById }: Journey) {
    return replacedById === null ? null : ctx.loaders.journey.load(replacedById);
  }

  @FieldResolver(() => [JourneyEventType], { description: 'The last events that it was told, oldest first.' })
  events(
    @Ctx() ctx: GraphCtx,
    @Root() { id }: Journey,
    @Arg('last', () => Int, { defaultValue: 20, description: 'How many, 100 at most.' }) last: number,
  ) {
    return ctx.loaders.eventsOfJourney(id, last);
  }

  @FieldResolver(() => [JourneyIdentifierType], { description: 'What it can be found by, beside its id.' })
  identifiers(@Ctx() ctx: GraphCtx, @Root() { id }: Journey) {
    return ctx.loaders.identifiersOfJourney.load(id);
  }

  @FieldResolver(() => String, {
    nullable: true,
    description:
      'The address of its page, which shows its conversation to whoever has it; null without a conversation.',
  })
  link(@Ctx() ctx: GraphCtx, @Root() journey: Journey) {
    return journeyLink(ctx, journey);
  }
}

function matchOf({ journeyId, flowId, identifier }: DeliverJourneyEventInput): JourneyMatch {
  if (journeyId != null && flowId == null && identifier == null) {
    return { journeyId: uuidOf('Journey', journeyId, 'journeyId') };
  }
  if (journeyId == null && flowId != null && identifier != null) {
    return { flowId: uuidOf('Flow', flowId, 'flowId'), identifier };
  }
  throw new InvalidInput('journeyId', 'give either journeyId, or flowId and identifier');
}

@Resolver(() => JourneyProgressEvent)
export class JourneyProgressEventResolver {
  @FieldResolver(() => JourneyType, { description: 'The journey as it is now.' })
  journey(@Ctx() ctx: GraphCtx, @Root() { event }: Told) {
    return 'journeyId' in event.payload ? ctx.loaders.journey.load(event.payload.journeyId) : null;
  }
}
