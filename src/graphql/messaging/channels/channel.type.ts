import { ArgsType, Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import type { Channel } from '../../../domain/messaging/channels/channel.entity.ts';
import { shownChannelMetadata } from '../../../domain/messaging/channels/channel.service.ts';
import { countedFields, PageArgs, PageInfo } from '../../connection.ts';
import { plainFields } from '../../plain-fields.ts';
import { CursorScalar, DateTimeScalar, JsonScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('Channel', {
  implements: Stored,
  simpleResolvers: true,
  description: 'One account, page, number or mailbox of a source.',
})
export class ChannelType extends Stored {
  @Field(() => String, { description: 'Its own name.' })
  name!: string;

  @Field(() => String, { description: "The source's id of it." })
  sourceChannelId!: string;

  @Field(() => Boolean, { description: 'Messages come in and go out.' })
  connected!: boolean;

  @Field(() => UrlScalar, { nullable: true, description: 'A picture.' })
  imageUrl!: string | null;

  @Field(() => JsonScalar, { description: 'Keys of the source with `name` and `image_url`; never its token.' })
  metadata!: Record<string, unknown>;

  @Field(() => DateTimeScalar, { description: 'When it was first connected.' })
  createdAt!: Date;
}

plainFields<Channel>('Channel', { metadata: shownChannelMetadata });

@ObjectType({ simpleResolvers: true, description: 'A channel at its place in a list.' })
export class ChannelEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => ChannelType, { description: 'The channel.' })
  node!: ChannelType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of channels, oldest first.' })
export class ChannelConnection {
  @Field(() => [ChannelEdge], { description: 'The page with cursors.' })
  edges!: ChannelEdge[];

  @Field(() => [ChannelType], { description: 'The page.' })
  nodes!: ChannelType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many there are; counted only when selected.' })
  total?: number;
}

countedFields('ChannelConnection', 'total');

@ArgsType()
export class ChannelArgs extends PageArgs {
  @Field(() => String, { nullable: true, description: 'Only of this source.' })
  sourceId?: string;

  @Field(() => Boolean, { nullable: true, description: 'Only connected, or only disconnected ones.' })
  connected?: boolean;
}

@InputType({ description: 'A channel of the calling source.' })
export class CreateSourceChannelInput {
  @Field(() => String, { description: "The source's id of it; the same again updates and reconnects." })
  sourceChannelId!: string;

  @Field(() => String, { description: 'Its name.' })
  name!: string;

  @Field(() => JsonScalar, {
    nullable: true,
    description: 'An object of any keys; `token` is kept secret, `image_url` is shown.',
  })
  metadata?: Record<string, unknown>;
}

@InputType({ description: 'A channel of any source.' })
export class ConnectChannelInput {
  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;

  @Field(() => String, { description: "The source's id of it; the same again reconnects." })
  sourceChannelId!: string;

  @Field(() => String, { nullable: true, description: "Its name; by default as it was, or the source's id of it." })
  name?: string;

  @Field(() => String, { nullable: true, description: 'Absolute http or https address of a picture.' })
  imageUrl?: string;

  @Field(() => JsonScalar, {
    nullable: true,
    description:
      'An object of texts: credentials and options of that source. Kept encrypted, never shown again; left out, those of before stay.',
  })
  settings?: unknown;
}

@ArgsType()
export class ExploreChannelsArgs {
  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;

  @Field(() => String, { nullable: true, description: 'What the vendor knows the asker by.' })
  token?: string;
}

@ObjectType({ simpleResolvers: true, description: 'A channel that could be connected.' })
export class ExploredChannel {
  @Field(() => String, { description: 'Its name.' })
  name!: string;

  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;

  @Field(() => String, { description: "The source's id of it." })
  sourceChannelId!: string;

  @Field(() => UrlScalar, { nullable: true, description: 'A picture.' })
  imageUrl!: string | null;

  @Field(() => Boolean, { description: 'It is connected already.' })
  connected!: boolean;
}

@InputType({ description: 'Which channel, and what changes: a missing field stays.' })
export class UpdateChannelInput {
  @Field(() => ID, { description: 'Its id.' })
  channelId!: string;

  @Field(() => String, { nullable: true, description: 'Its name.' })
  name?: string;

  @Field(() => String, { nullable: true, description: 'Absolute http or https address of a picture; null clears.' })
  imageUrl?: string;
}

@InputType({ description: 'Which channel.' })
export class ChannelInput {
  @Field(() => ID, { description: 'Its id.' })
  channelId!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The channel after the change.' })
export class ChannelPayload {
  @Field(() => ChannelType, { description: 'The channel.' })
  channel!: ChannelType;

  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}

@ObjectType({ simpleResolvers: true, description: 'The channel with the token its source keeps in it.' })
export class CreateSourceChannelPayload extends ChannelPayload {
  @Field(() => String, { nullable: true, description: 'The `token` of its metadata; told in this answer only.' })
  token!: string | null;
}
