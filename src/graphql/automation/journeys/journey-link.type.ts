import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { LoadedMessage } from '../../../domain/messaging/messages/message.service.ts';
import { PageInfo } from '../../connection.ts';
import { globalId } from '../../ids.ts';
import { shownContent } from '../../messaging/messages/message-content.ts';
import { plainFields } from '../../plain-fields.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';

@InputType({ description: 'The link of a journey.' })
export class OpenJourneyLinkInput {
  @Field(() => String, { description: 'What stands behind /j/ in its address.' })
  linkToken!: string;
}

@ObjectType({ simpleResolvers: true, description: 'What a link opens.' })
export class OpenJourneyLinkPayload {
  @Field(() => String, { description: 'A token for the one conversation of the journey.' })
  token!: string;

  @Field(() => DateTimeScalar, { description: 'When it ends: within a day. Open the link again for another.' })
  expiresAt!: Date;
}

@ObjectType('LinkedMessage', { simpleResolvers: true, description: 'A message as the contact may see it.' })
export class LinkedMessageType {
  @Field(() => ID, { description: 'Opaque and stable.' })
  id!: string;

  @Field(() => Boolean, { description: 'The contact wrote it.' })
  fromContact!: boolean;

  @Field(() => String, { nullable: true, description: 'Its words; null for a content without any.' })
  text!: string | null;

  @Field(() => JsonScalar, { description: 'The content as it was sent.' })
  raw!: unknown;

  @Field(() => DateTimeScalar, { description: 'When it was sent.' })
  sentAt!: Date;
}

plainFields<LoadedMessage>('LinkedMessage', {
  id: ({ id }) => globalId('Message', id),
  text: ({ content }) => {
    const shown = shownContent(content);
    return shown.kind === 'text' ? shown.text : null;
  },
});

@ObjectType({ simpleResolvers: true, description: 'A message at its place in the conversation.' })
export class LinkedMessageEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => LinkedMessageType, { description: 'The message.' })
  node!: LinkedMessageType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of messages, oldest to latest.' })
export class LinkedMessageConnection {
  @Field(() => [LinkedMessageEdge], { description: 'The page with cursors.' })
  edges!: LinkedMessageEdge[];

  @Field(() => [LinkedMessageType], { description: 'The page.' })
  nodes!: LinkedMessageType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

@ObjectType('LinkedConversation', {
  simpleResolvers: true,
  description: 'The one conversation of a link, as its contact may see it.',
})
export class LinkedConversationType {
  @Field(() => String, { description: 'Through which channel.' })
  channelName!: string;

  @Field(() => String, { nullable: true, description: 'The name of the contact, where it is known.' })
  contactName!: string | null;

  @Field(() => Boolean, { description: 'The journey goes on. Messages are taken as long as the link holds.' })
  isOpen!: boolean;

  @Field(() => CursorScalar, {
    description: 'The position of the event stream: subscribe after it, and nothing falls between.',
  })
  cursor!: string;
}

@InputType({ description: 'What the contact says.' })
export class SendLinkedMessageInput {
  @Field(() => ID, { description: 'A UUID that the client chooses: sent again it is the same message.' })
  id!: string;

  @Field(() => String, { description: '1 to 4,000 characters.' })
  text!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The message as it is stored.' })
export class SendLinkedMessagePayload {
  @Field(() => LinkedMessageType, { description: 'The message.' })
  message!: LinkedMessageType;
}
