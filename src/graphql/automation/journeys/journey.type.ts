import { ArgsType, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { IdentifierType, JourneyStatus } from '../../../domain/automation/journeys/journey.read.service.ts';
import { PageArgs, PageInfo } from '../../connection.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

const statuses: Record<JourneyStatus, JourneyStatus> = {
  ACTIVE: 'ACTIVE',
  COMPLETED: 'COMPLETED',
  ABORTED: 'ABORTED',
  REPLACED: 'REPLACED',
  FAILED: 'FAILED',
};
const identifierTypes: Record<IdentifierType, IdentifierType> = {
  TEXT: 'TEXT',
  PHONE: 'PHONE',
  JOURNEY_ID: 'JOURNEY_ID',
};
registerEnumType(statuses, {
  name: 'JourneyStatus',
  description: 'How far a journey is: only an ACTIVE one goes on.',
  valuesConfig: {
    ACTIVE: { description: 'It runs or waits.' },
    COMPLETED: { description: 'It came to its end.' },
    ABORTED: { description: 'Somebody ended it.' },
    REPLACED: { description: 'Another one took its place.' },
    FAILED: { description: 'A step failed; `reason` says which and why.' },
  },
});
registerEnumType(identifierTypes, {
  name: 'IdentifierType',
  description: 'What a journey of a flow is found by.',
  valuesConfig: {
    TEXT: { description: 'Any text of at most 255 characters, compared as it is.' },
    PHONE: { description: 'A phone number with its country, compared as E.164.' },
    JOURNEY_ID: { description: 'The UUID of the journey.' },
  },
});

@ObjectType({ simpleResolvers: true, description: 'What a journey can be found by, beside its id.' })
export class JourneyIdentifierType {
  @Field(() => identifierTypes, { description: 'Its kind.' })
  type!: IdentifierType;

  @Field(() => String, { description: 'In the form in which it is compared.' })
  value!: string;
}

@ObjectType({ simpleResolvers: true, description: 'What a journey was told.' })
export class JourneyEventType {
  @Field(() => Int, { description: 'From 1, in their order.' })
  sequence!: number;

  @Field(() => String, { description: 'The name that a wait names, such as message.received.' })
  name!: string;

  @Field(() => JsonScalar, { nullable: true, description: 'Stands under `event` once a wait has taken it.' })
  payload!: unknown;

  @Field(() => DateTimeScalar, { description: 'When it came.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When a wait took it, or passed over it; null: a later wait may take it.',
  })
  consumedAt!: Date | null;
}

@ObjectType('Journey', {
  implements: Stored,
  simpleResolvers: true,
  description: 'One way through a flow. It keeps the version with which it began.',
})
export class JourneyType extends Stored {
  @Field(() => Int, { description: 'The number of its version of the flow.' })
  flowNumber!: number;

  @Field(() => statuses, { description: 'How far it is.' })
  status!: JourneyStatus;

  @Field(() => String, { nullable: true, description: 'Why it failed or was ended, or what its end step said.' })
  reason!: string | null;

  @Field(() => String, { description: 'The step that runs next, waits, or was the last one.' })
  stepId!: string;

  @Field(() => String, {
    nullable: true,
    description: 'The event that it waits for; null while it waits for time alone, or runs.',
  })
  waitingFor!: string | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When its wait ends by itself.' })
  wakeAt!: Date | null;

  @Field(() => JsonScalar, { description: 'What its steps have set.' })
  vars!: unknown;

  @Field(() => JsonScalar, { description: 'What it was started with: `session.start`.' })
  start!: unknown;

  @Field(() => DateTimeScalar, { description: 'When it began.' })
  startedAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When it last moved.' })
  updatedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended; null while it is active.' })
  endedAt!: Date | null;
}

@ObjectType({ simpleResolvers: true, description: 'A journey at its place in a list.' })
export class JourneyEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => JourneyType, { description: 'The journey.' })
  node!: JourneyType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of journeys, the newest first.' })
export class JourneyConnection {
  @Field(() => [JourneyEdge], { description: 'The page with cursors.' })
  edges!: JourneyEdge[];

  @Field(() => [JourneyType], { description: 'The page.' })
  nodes!: JourneyType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

@ArgsType()
export class JourneysArgs extends PageArgs {
  @Field(() => ID, { nullable: true, description: 'Only those of a flow.' })
  flowId?: string;

  @Field(() => statuses, { nullable: true, description: 'Only those that are so far.' })
  status?: JourneyStatus;
}

@InputType({ description: 'What a journey is found by.' })
export class JourneyIdentifierInput {
  @Field(() => identifierTypes, { description: 'Its kind.' })
  type!: IdentifierType;

  @Field(() => String, { description: 'At most 255 characters; a phone number with its country.' })
  value!: string;
}

@InputType({ description: 'A new journey.' })
export class StartJourneyInput {
  @Field(() => ID, { description: 'The flow; its published version is taken.' })
  flowId!: string;

  @Field(() => JsonScalar, { nullable: true, description: 'An object of at most 64 KiB: `session.start`.' })
  start?: unknown;

  @Field(() => ID, { nullable: true, description: 'Whom it is about; that of the conversation where left out.' })
  contactId?: string;

  @Field(() => ID, {
    nullable: true,
    description: "The conversation it is bound to: the contact's messages there are its events `message.received`.",
  })
  conversationId?: string;

  @Field(() => [JourneyIdentifierInput], {
    nullable: true,
    description: 'What it can be found by, beside its id: TEXT or PHONE, at most 20.',
  })
  identifiers?: JourneyIdentifierInput[];
}

@InputType({
  description:
    'An event, and the journey that is told: by its id, or the newest active one of a flow with an identifier.',
})
export class DeliverJourneyEventInput {
  @Field(() => ID, { nullable: true, description: 'Its id; either this or flowId and identifier.' })
  journeyId?: string;

  @Field(() => ID, { nullable: true, description: 'Its flow.' })
  flowId?: string;

  @Field(() => JourneyIdentifierInput, { nullable: true, description: 'What it is found by in the flow.' })
  identifier?: JourneyIdentifierInput;

  @Field(() => String, { description: 'The name that a wait names; 1 to 255 characters.' })
  name!: string;

  @Field(() => JsonScalar, { nullable: true, description: 'Any JSON value of at most 64 KiB: `event`.' })
  payload?: unknown;

  @Field(() => String, { nullable: true, description: 'The same key again is the same event: nothing is added.' })
  dedupeKey?: string;
}

@InputType({ description: 'Which journey, and why it ends.' })
export class AbortJourneyInput {
  @Field(() => ID, { description: 'Its id.' })
  journeyId!: string;

  @Field(() => String, { nullable: true, description: '1 to 1024 characters of one line.' })
  reason?: string;
}

@ObjectType({ simpleResolvers: true, description: 'The journey, as it is right after the call; its steps run soon.' })
export class JourneyPayload {
  @Field(() => JourneyType, { description: 'The journey.' })
  journey!: JourneyType;
}

@ObjectType({ simpleResolvers: true, description: 'The journey after the change.' })
export class AbortJourneyPayload extends JourneyPayload {
  @Field(() => Boolean, { description: 'False when it had ended already.' })
  changed!: boolean;
}
