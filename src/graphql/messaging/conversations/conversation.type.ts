import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { ConversationState } from '../../../domain/messaging/conversations/conversation.entity.ts';
import { countedFields, PageInfo } from '../../connection.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';
import { ChannelType } from '../channels/channel.type.ts';
import { ContactType } from '../contacts/contact.type.ts';
import { MessageType } from '../messages/message.type.ts';
import { TagType } from '../tags/tag.type.ts';

export enum ConversationStateEnum {
  OPEN = 'OPEN',
  SNOOZED = 'SNOOZED',
  CLOSED = 'CLOSED',
}
registerEnumType(ConversationStateEnum, { name: 'ConversationState', description: 'Whether it still needs somebody.' });

@ObjectType('Conversation', {
  implements: Stored,
  simpleResolvers: true,
  description: 'What was said with one outside party through one channel.',
})
export class ConversationType extends Stored {
  @Field(() => ChannelType, { description: 'Through which channel.' })
  channel!: ChannelType;

  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;

  @Field(() => ContactType, { nullable: true, description: "Null until the contact's first message." })
  contact!: ContactType | null;

  @Field(() => String, { description: "The source's id of it." })
  sourceConversationId!: string;

  @Field(() => ConversationStateEnum, { description: 'Whether it still needs somebody.' })
  state!: ConversationState;

  @Field(() => [TagType], { description: 'Its labels, by name.' })
  tags!: TagType[];

  @Field(() => JsonScalar, { description: 'Facts about it, from its source and from people.' })
  metadata!: Record<string, unknown>;

  @Field(() => Int, { description: 'Messages of the contact since the last reading.' })
  unreadCount!: number;

  @Field(() => Int, { description: 'All messages.' })
  messageCount!: number;

  @Field(() => MessageType, { nullable: true, description: 'The latest by (sentAt, sequence).' })
  lastMessage!: MessageType | null;

  @Field(() => DateTimeScalar, { description: 'When the latest message was sent: what lists sort by.' })
  lastMessageAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When its first message was sent.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When anything of it last changed.' })
  updatedAt!: Date;
}

@ObjectType({ simpleResolvers: true, description: 'A conversation at its place in a list.' })
export class ConversationEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => ConversationType, { description: 'The conversation.' })
  node!: ConversationType;
}

@ObjectType({
  simpleResolvers: true,
  description:
    'A page of conversations. Totals are counted only when selected, and are null when counting takes too long.',
})
export class ConversationConnection {
  @Field(() => [ConversationEdge], { description: 'The page with cursors.' })
  edges!: ConversationEdge[];

  @Field(() => [ConversationType], { description: 'The page.' })
  nodes!: ConversationType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many match; null when counting takes too long.' })
  filteredTotal?: number;

  @Field(() => Int, { nullable: true, description: 'How many there are, whatever the filter.' })
  total?: number;

  @Field(() => Int, { nullable: true, description: 'Unread messages of all conversations.' })
  unreadTotal?: number;
}

countedFields('ConversationConnection', 'total', 'filteredTotal', 'unreadTotal');
