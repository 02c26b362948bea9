import { createUnionType, Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { DeliveryState, MessageFailure, SenderType } from '../../../domain/messaging/messages/message.entity.ts';
import type { LoadedMessage } from '../../../domain/messaging/messages/message.service.ts';
import { UserType } from '../../accounts/users/user.type.ts';
import { PageInfo } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { plainFields, tellMembers } from '../../plain-fields.ts';
import { CursorScalar, DateTimeScalar, JsonScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';
import { ContactType } from '../contacts/contact.type.ts';
import { SourceType } from '../sources/source.type.ts';
import { type ShownContent, shownContent } from './message-content.ts';

export enum SenderTypeEnum {
  CONTACT = 'CONTACT',
  USER = 'USER',
  BOT = 'BOT',
  CAMPAIGN = 'CAMPAIGN',
  SOURCE = 'SOURCE',
}
registerEnumType(SenderTypeEnum, {
  name: 'SenderType',
  description: 'REST shows CONTACT as source_contact, SOURCE as source_user, the others as app_user.',
});

export enum DeliveryStateEnum {
  PENDING = 'PENDING',
  SENT = 'SENT',
  DELIVERED = 'DELIVERED',
  READ = 'READ',
  FAILED = 'FAILED',
}
registerEnumType(DeliveryStateEnum, {
  name: 'DeliveryState',
  description:
    'PENDING until the source answered; SENT when a vendor took it; READ only where the source reports it. REST shows SENT as pending, READ as delivered.',
});

@ObjectType({ simpleResolvers: true, description: 'Words.' })
export class TextContent {
  @Field(() => String, { description: 'The words.' })
  text!: string;
}

@ObjectType({ simpleResolvers: true, description: 'A picture, film, sound or file elsewhere. Never loaded by us.' })
export class MediaContent {
  @Field(() => UrlScalar, { description: 'Where it lies.' })
  url!: string;

  @Field(() => String, { nullable: true, description: 'Such as image/png.' })
  mimeType!: string | null;

  @Field(() => String, { nullable: true, description: 'File name or title.' })
  name!: string | null;

  @Field(() => Int, { nullable: true, description: 'Size in bytes.' })
  byteSize!: number | null;

  @Field(() => String, { nullable: true, description: 'Words beside it.' })
  caption!: string | null;
}

@ObjectType({ simpleResolvers: true, description: 'A place on earth.' })
export class LocationContent {
  @Field(() => Float, { description: 'Degrees north.' })
  latitude!: number;

  @Field(() => Float, { description: 'Degrees east.' })
  longitude!: number;

  @Field(() => String, { nullable: true, description: 'What is there.' })
  label!: string | null;
}

@ObjectType({ simpleResolvers: true, description: 'A content of a shape that only its source knows.' })
export class UnknownContent {
  @Field(() => String, { nullable: true, description: 'Its `type`, where it has one.' })
  type!: string | null;

  @Field(() => String, { nullable: true, description: 'The beginning of its JSON.' })
  preview!: string | null;
}

const contentTypes = {
  text: 'TextContent',
  media: 'MediaContent',
  location: 'LocationContent',
  unknown: 'UnknownContent',
};

export const MessageContent = createUnionType({
  name: 'MessageContent',
  description: 'What a client can show without knowing the source. New members may be added: always select __typename.',
  types: () => [TextContent, MediaContent, LocationContent, UnknownContent] as const,
});
tellMembers<ShownContent>('MessageContent', ({ kind }) => contentTypes[kind]);

/** Tells the members of the sender union apart: entities and plain rows look alike. */
export type ShownSender = { typename: 'Contact' | 'User' | 'Source' };

export const MessageSender = createUnionType({
  name: 'MessageSender',
  description: 'Who sent it.',
  types: () => [ContactType, UserType, SourceType] as const,
});
tellMembers<ShownSender>('MessageSender', ({ typename }) => typename);

@ObjectType('MessageFailure', { simpleResolvers: true, description: 'Why a message was not delivered, or not yet.' })
export class MessageFailureType {
  @Field(() => String, { description: 'A short word for programs, such as http_422, timeout or blocked.' })
  code!: string;

  @Field(() => String, { description: 'A sentence for people, where there is one from the source.' })
  message!: string;

  @Field(() => Boolean, { description: 'The same call might pass at another time.' })
  retryable!: boolean;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When it is tried again by itself; null when it is not.',
  })
  nextAttemptAt!: Date | null;
}

plainFields<MessageFailure>('MessageFailure', {
  nextAttemptAt: (failure) => failure.nextAttemptAt && new Date(failure.nextAttemptAt),
});

@ObjectType('Message', { implements: Stored, simpleResolvers: true, description: 'One message of a conversation.' })
export class MessageType extends Stored {
  @Field(() => Int, { description: 'Arrival number within the conversation. Messages sort by (sentAt, sequence).' })
  sequence!: number;

  @Field(() => String, { nullable: true, description: "The source's id of it; null until the source took it." })
  sourceMessageId!: string | null;

  @Field(() => Boolean, { description: 'The outside party wrote it.' })
  fromContact!: boolean;

  @Field(() => SenderTypeEnum, { description: 'What kind of sender.' })
  senderType!: SenderType;

  @Field(() => String, { description: "Bare id of the contact or user; for SOURCE the source's id of its sender." })
  senderId!: string;

  @Field(() => MessageSender, { nullable: true, description: 'Who sent it; null where it was no person.' })
  sender!: typeof MessageSender | null;

  @Field(() => MessageContent, { description: 'What a client can show.' })
  content!: typeof MessageContent;

  @Field(() => JsonScalar, { description: 'The content node as the source gave it, equal as a JSON value.' })
  raw!: unknown;

  @Field(() => DeliveryStateEnum, { description: 'How far it came.' })
  deliveryState!: DeliveryState;

  @Field(() => MessageFailureType, { nullable: true, description: 'Why it was not delivered, or not yet.' })
  failure!: MessageFailureType | null;

  @Field(() => JsonScalar, { description: 'Facts about it, such as reactions.' })
  metadata!: Record<string, unknown>;

  @Field(() => DateTimeScalar, { description: 'When its sender sent it.' })
  sentAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When we stored it.' })
  createdAt!: Date;
}

plainFields<LoadedMessage>('Message', {
  content: (message) => shownContent(message.content),
  sender: senderOf,
});

// Without a promise where the sender came with the message.
function senderOf(
  { senderType, senderId, source, sender }: LoadedMessage,
  _args: never,
  ctx: GraphCtx,
): ShownSender | null | Promise<ShownSender | null> {
  switch (senderType) {
    case 'CONTACT':
      return sender
        ? named('Contact', sender)
        : ctx.loaders.contact.load(senderId).then((found) => named('Contact', found));
    case 'USER':
      return ctx.loaders.user.load(senderId).then((found) => named('User', found));
    case 'SOURCE':
      return sender ? named('Source', sender) : ctx.loaders.source.load(source).then((found) => named('Source', found));
    default:
      return null;
  }
}

function named(typename: ShownSender['typename'], sender: object | null): ShownSender | null {
  return sender && Object.assign(sender, { typename });
}

@ObjectType({ simpleResolvers: true, description: 'A message at its place in a conversation.' })
export class MessageEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => MessageType, { description: 'The message.' })
  node!: MessageType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of messages, oldest to latest.' })
export class MessageConnection {
  @Field(() => [MessageEdge], { description: 'The page with cursors.' })
  edges!: MessageEdge[];

  @Field(() => [MessageType], { description: 'The page.' })
  nodes!: MessageType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many the conversation has.' })
  total!: number;
}

@InputType({ description: 'Whom a first message is for, where no conversation exists yet.' })
export class RecipientInput {
  @Field(() => ID, { description: 'Through which channel.' })
  channelId!: string;

  @Field(() => String, { description: "The source's id of whom it is for, 1 to 512 characters." })
  sourceRecipientId!: string;
}

@InputType({
  description: 'A message for the contact: give either conversationId or recipient, and either text or content.',
})
export class SendMessageInput {
  @Field(() => ID, { nullable: true, description: 'Where to.' })
  conversationId?: string;

  @Field(() => RecipientInput, {
    nullable: true,
    description: 'Begins the conversation if it is not there yet; the source may refuse it.',
  })
  recipient?: RecipientInput;

  @Field(() => String, { nullable: true, description: 'Shorthand for {"text": ...}.' })
  text?: string;

  @Field(() => JsonScalar, {
    nullable: true,
    description: 'A content as the source wants it: an object or a text, 64 KiB at most.',
  })
  content?: unknown;

  @Field(() => String, {
    nullable: true,
    description: 'Sending again with the same key within 24 hours gives the first result and sends nothing.',
  })
  idempotencyKey?: string;
}

@InputType({ description: 'Which message.' })
export class MessageInput {
  @Field(() => ID, { description: 'Its id.' })
  messageId!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The message as it was taken: PENDING.' })
export class SendMessagePayload {
  @Field(() => MessageType, { description: 'The message.' })
  message!: MessageType;
}

@InputType({ description: 'Which message, and replies that an agent may choose from.' })
export class SuggestRepliesInput extends MessageInput {
  @Field(() => JsonScalar, { description: 'An object: by an id of their own, objects with a `content`; 100 at most.' })
  suggestions!: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'The message after the change.' })
export class MessagePayload {
  @Field(() => MessageType, { description: 'The message.' })
  message!: MessageType;

  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}
