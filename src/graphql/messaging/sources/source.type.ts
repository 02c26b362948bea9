import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { DateTimeScalar, JsonScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('Source', {
  implements: Stored,
  simpleResolvers: true,
  description: 'A bridge to one messaging platform. Its token is told once, by createSource or rotateSourceToken.',
})
export class SourceType extends Stored {
  @Field(() => String, { description: 'The name chosen by its maker, for example my-crm-connector. Never changes.' })
  sourceId!: string;

  @Field(() => String, { nullable: true, description: 'A name for people.' })
  name!: string | null;

  @Field(() => UrlScalar, { nullable: true, description: 'A picture.' })
  imageUrl!: string | null;
}

@ObjectType('DeliveryAttempt', {
  implements: Stored,
  simpleResolvers: true,
  description: 'One exchange with an action endpoint; signatures and tokens are not kept.',
})
export class DeliveryAttemptType extends Stored {
  @Field(() => Int, { description: 'The how many-th attempt of its message.' })
  attempt!: number;

  @Field(() => UrlScalar, { description: 'Where to.' })
  url!: string;

  @Field(() => Int, { nullable: true, description: 'The HTTP status; null when there was no answer.' })
  statusCode!: number | null;

  @Field(() => String, { nullable: true, description: 'What went wrong; null when it was delivered.' })
  error!: string | null;

  @Field(() => Int, { description: 'How long it took, in milliseconds.' })
  durationMs!: number;

  @Field(() => JsonScalar, { description: 'The body that was sent.' })
  request!: unknown;

  @Field(() => JsonScalar, { nullable: true, description: 'The beginning of what was answered.' })
  response!: unknown;

  @Field(() => DateTimeScalar, { description: 'When.' })
  at!: Date;
}

@InputType({ description: 'A new source.' })
export class CreateSourceInput {
  @Field(() => String, { description: '1 to 255 characters without blanks; stands on all its data and never changes.' })
  sourceId!: string;

  @Field(() => String, { nullable: true, description: 'A name for people.' })
  name?: string | null;

  @Field(() => String, { nullable: true, description: 'Absolute http or https address of a picture.' })
  imageUrl?: string | null;

  @Field(() => String, { nullable: true, description: 'Absolute http or https address that gets the action calls.' })
  actionEndpoint?: string | null;
}

@InputType({ description: 'A source and what changes: a missing field stays, null clears.' })
export class UpdateSourceInput extends CreateSourceInput {}

@InputType({ description: 'Which source.' })
export class SourceInput {
  @Field(() => String, { description: 'Its name.' })
  sourceId!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The source after the change.' })
export class SourcePayload {
  @Field(() => SourceType, { description: 'The source.' })
  source!: SourceType;
}

@ObjectType({ simpleResolvers: true, description: 'The only answers that tell the secrets.' })
export class SourceSecretsPayload extends SourcePayload {
  @Field(() => String, { description: 'Authenticates the source and signs X-Airy-Content-Signature.' })
  token!: string;

  @Field(() => String, { description: 'Key of the Standard Webhooks headers.' })
  signingSecret!: string;
}

@ObjectType({ simpleResolvers: true, description: 'What was deleted.' })
export class DeleteSourcePayload {
  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;
}

@InputType({ description: 'An address inside private networks.' })
export class OpenOutboundInput {
  @Field(() => String, { description: 'host:port, such as 127.0.0.1:5000.' })
  hostPort!: string;
}

@ObjectType({ simpleResolvers: true, description: 'What was opened.' })
export class OpenOutboundPayload {
  @Field(() => String, { description: 'host:port.' })
  hostPort!: string;
}

export enum IngestStatus {
  CREATED = 'CREATED',
  DUPLICATE = 'DUPLICATE',
}
registerEnumType(IngestStatus, { name: 'IngestStatus', description: 'What became of an item of a batch.' });

@InputType({ description: 'A message as its source tells it.' })
export class IngestMessageInput {
  @Field(() => String, { description: "The source's id of it, 1 to 512 characters; the first write wins." })
  sourceMessageId!: string;

  @Field(() => String, { description: "The source's id of its conversation." })
  sourceConversationId!: string;

  @Field(() => String, { description: "The source's id of a connected channel." })
  sourceChannelId!: string;

  @Field(() => String, { description: "The source's id of who sent it." })
  sourceSenderId!: string;

  @Field(() => JsonScalar, { description: 'Any JSON value, 64 KiB at most.' })
  content!: unknown;

  @Field(() => Boolean, { defaultValue: false, description: 'The outside party wrote it.' })
  fromContact!: boolean;

  @Field(() => DateTimeScalar, { description: 'When it was sent: from 1970 to a day from now.' })
  sentAt!: Date;
}

@InputType({ description: 'Facts about a conversation or message.' })
export class IngestMetadataInput {
  @Field(() => String, { description: 'conversation or message.' })
  namespace!: string;

  @Field(() => String, { description: "The source's id of the conversation or message; it may come later." })
  sourceId!: string;

  @Field(() => JsonScalar, { description: 'An object: nested ones are merged, newer values replace, null removes.' })
  metadata!: Record<string, unknown>;
}

@InputType({ description: 'A batch: all of it is taken or nothing.' })
export class IngestInput {
  @Field(() => [IngestMessageInput], { defaultValue: [], description: '1,000 at most.' })
  messages!: IngestMessageInput[];

  @Field(() => [IngestMetadataInput], { defaultValue: [], description: '1,000 at most.' })
  metadata!: IngestMetadataInput[];
}

@ObjectType({ simpleResolvers: true, description: 'What became of a message of the batch.' })
export class IngestItemType {
  @Field(() => String, { description: 'As given.' })
  sourceMessageId!: string;

  @Field(() => String, { description: 'The bare id of the message.' })
  messageId!: string;

  @Field(() => IngestStatus, { description: 'Stored now, or there before.' })
  status!: IngestStatus;
}

@ObjectType({ simpleResolvers: true, description: 'One item for each message, in order. It is durable.' })
export class IngestPayload {
  @Field(() => [IngestItemType], { description: 'The items.' })
  items!: IngestItemType[];
}
